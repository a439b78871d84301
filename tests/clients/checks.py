"""What the clients share: checks with names, and an exit status that tells of any that failed."""

import sys
import time
import traceback

import numpy as np

_checks = []


def check(function):
    """Makes a function a check: it raises where something is wrong."""
    _checks.append(function)
    return function


def slow(function):
    """Makes a function a check that runs only when it is named, or with `--all`: its kernels take minutes to compile on a CPU."""
    function.slow = True
    return check(function)


def missing(what):
    """Makes a function a check of something that the library lacks so far: it is told of, and fails nothing."""

    def decorate(function):
        function.missing = what
        return check(function)

    return decorate


def equal(got, wanted):
    """Every element is the same."""
    np.testing.assert_array_equal(np.asarray(got), np.asarray(wanted))


def close(got, wanted, tolerance=1e-5):
    """Every element is within a relative tolerance, or within that of the largest one."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    largest = float(np.max(np.abs(wanted))) if wanted.size else 0.0
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance * largest)


def main():
    """Runs the checks, or those named on the command line, and ends the process."""
    everything = "--all" in sys.argv[1:]
    names = [argument for argument in sys.argv[1:] if argument != "--all"]
    unknown = set(names) - {function.__name__ for function in _checks}
    assert _checks and not unknown, f"no such checks: {unknown}"
    failed = []
    for function in _checks:
        if names and function.__name__ not in names:
            continue
        if hasattr(function, "slow") and not names and not everything:
            print(f"{'left out':8} {function.__name__}, which --all runs")
            continue
        started = time.monotonic()
        try:
            function()
            verdict = "ok"
        except Exception as error:
            if hasattr(function, "missing"):
                verdict = "MISSING"
                print(f"{function.missing}: {error}")
            else:
                traceback.print_exc()
                verdict = "FAILED"
                failed.append(function.__name__)
        print(f"{verdict:8}{function.__name__} ({time.monotonic() - started:.1f} s)", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}")
        sys.exit(1)
