"""cuBLAS and cublasLt through their C functions: levels 1 to 3 against NumPy, at sizes that are no multiples of anything."""

import ctypes
import os
import subprocess
import sys
from ctypes import POINTER, byref, c_double, c_float, c_int, c_int64, c_size_t, c_uint64, c_void_p

import cupy
import numpy as np
from checks import check, close, equal, main

blas = ctypes.CDLL("libcublas.so.12")
lt = ctypes.CDLL("libcublasLt.so.12")
random = np.random.default_rng(4)
cupy.cuda.Device(0).use()
handle = c_void_p()


def ok(status):
    """A call succeeded."""
    assert status == 0, f"cuBLAS status {status}"


ok(blas.cublasCreate_v2(byref(handle)))
KINDS = {"S": (np.float32, c_float, 1e-5), "D": (np.float64, c_double, 1e-13)}


def matrix(rows, columns, kind):
    """A random matrix, in column order."""
    return np.asfortranarray(random.standard_normal((rows, columns)).astype(kind))


def upload(array):
    """A copy on the device."""
    return cupy.asarray(array, order="F")


def pointer(array):
    """Its address, which keeps it alive for as long as the call takes."""
    address = c_void_p(array.data.ptr)
    address.array = array
    return address


def call(kind, name, *arguments):
    """Calls the function of a type."""
    function = getattr(blas, f"cublas{kind}{name}")
    ok(function(handle, *arguments))


@check
def level_1():
    n = c_int(1001)
    for kind, (dtype, number, tolerance) in KINDS.items():
        x, y = (random.standard_normal(1001).astype(dtype) for _ in range(2))
        gx, gy = upload(x), upload(y)
        result, index = number(), c_int()
        call(kind, "dot_v2", n, pointer(gx), 1, pointer(gy), 1, byref(result))
        assert abs(result.value - np.dot(x, y)) < 50 * tolerance
        call(kind, "nrm2_v2", n, pointer(gx), 1, byref(result))
        close(result.value, np.linalg.norm(x), tolerance)
        call(kind, "asum_v2", n, pointer(gx), 1, byref(result))
        close(result.value, np.abs(x).sum(), tolerance)
        blas_index = getattr(blas, f"cublasI{kind.lower()}amax_v2")
        ok(blas_index(handle, n, pointer(gx), 1, byref(index)))
        equal(index.value, np.abs(x).argmax() + 1)
        blas_index = getattr(blas, f"cublasI{kind.lower()}amin_v2")
        ok(blas_index(handle, c_int(333), pointer(gx), 3, byref(index)))
        equal(index.value, np.abs(x[:999:3]).argmin() + 1)
        call(kind, "axpy_v2", n, byref(number(2.5)), pointer(gx), 1, pointer(gy), 1)
        close(gy.get(), 2.5 * x + y, tolerance)
        call(kind, "scal_v2", c_int(500), byref(number(-3)), pointer(gx), 2)
        x[:1000:2] *= -3
        close(gx.get(), x, tolerance)
        call(kind, "swap_v2", n, pointer(gx), 1, pointer(gy), 1)
        close(gy.get(), x, tolerance)
        call(kind, "copy_v2", n, pointer(gy), 1, pointer(gx), 1)
        equal(gx.get(), gy.get())
        c, s = number(0.6), number(0.8)
        before_x, before_y = gx.get(), gy.get()
        call(kind, "rot_v2", n, pointer(gx), 1, pointer(gy), 1, byref(c), byref(s))
        close(gx.get(), 0.6 * before_x + 0.8 * before_y, tolerance)
        close(gy.get(), 0.6 * before_y - 0.8 * before_x, tolerance)


@check
def level_2():
    m, n = 67, 45
    for kind, (dtype, number, tolerance) in KINDS.items():
        a, x, y = matrix(m, n, dtype), random.standard_normal(m).astype(dtype), random.standard_normal(n).astype(dtype)
        alpha, beta = byref(number(1.5)), byref(number(-0.5))
        for transposed, into, out in ((0, y, x), (1, x, y)):
            result = upload(out)
            call(kind, "gemv_v2", transposed, m, n, alpha, pointer(upload(a)), m, pointer(upload(into)), 1, beta, pointer(result), 1)
            close(result.get(), 1.5 * (a.T if transposed else a) @ into - 0.5 * out, tolerance)
        result = upload(a)
        call(kind, "ger_v2", m, n, alpha, pointer(upload(x)), 1, pointer(upload(y)), 1, pointer(result), m)
        close(result.get(), a + 1.5 * np.outer(x, y), tolerance)
        square = matrix(n, n, dtype)
        for upper in (0, 1):
            half = np.triu(square) if upper else np.tril(square)
            whole = half + half.T - np.diag(np.diag(half))
            result = upload(y)
            call(kind, "symv_v2", upper, n, alpha, pointer(upload(square)), n, pointer(upload(y)), 1, beta, pointer(result), 1)
            close(result.get(), 1.5 * whole @ y - 0.5 * y, tolerance)
            half = half + 10 * np.eye(n, dtype=dtype)
            for transposed in (0, 1):
                op = half.T if transposed else half
                result = upload(y)
                call(kind, "trmv_v2", upper, transposed, 0, n, pointer(upload(half)), n, pointer(result), 1)
                close(result.get(), op @ y, tolerance)
                call(kind, "trsv_v2", upper, transposed, 0, n, pointer(upload(half)), n, pointer(result), 1)
                close(result.get(), y, 10 * tolerance)


@check
def level_3():
    m, n, k = 45, 67, 33
    for kind, (dtype, number, tolerance) in KINDS.items():
        alpha, beta = byref(number(1.5)), byref(number(-0.5))
        c = matrix(m, n, dtype)
        for left in (0, 1):
            for right in (0, 1):
                a = matrix(k, m, dtype) if left else matrix(m, k, dtype)
                b = matrix(n, k, dtype) if right else matrix(k, n, dtype)
                result = upload(c)
                call(kind, "gemm_v2", left, right, m, n, k, alpha, pointer(upload(a)), a.shape[0],
                     pointer(upload(b)), b.shape[0], beta, pointer(result), m)
                wanted = 1.5 * (a.T if left else a) @ (b.T if right else b) - 0.5 * c
                close(result.get(), wanted, tolerance)
        a = matrix(n, k, dtype)
        square = matrix(n, n, dtype)
        for upper in (0, 1):
            keep = np.triu if upper else np.tril
            result = upload(square)
            call(kind, "syrk_v2", upper, 0, n, k, alpha, pointer(upload(a)), n, beta, pointer(result), n)
            close(keep(result.get()), keep(1.5 * a @ a.T - 0.5 * square), tolerance)
            b = matrix(n, k, dtype)
            result = upload(square)
            call(kind, "syr2k_v2", upper, 0, n, k, alpha, pointer(upload(a)), n, pointer(upload(b)), n, beta, pointer(result), n)
            close(keep(result.get()), keep(1.5 * (a @ b.T + b @ a.T) - 0.5 * square), tolerance)
            half = keep(matrix(m, m, dtype)) + 10 * np.eye(m, dtype=dtype)
            whole = half + half.T - np.diag(np.diag(half))
            b = matrix(m, n, dtype)
            result = upload(c)
            call(kind, "symm_v2", 0, upper, m, n, alpha, pointer(upload(half)), m, pointer(upload(b)), m, beta, pointer(result), m)
            close(result.get(), 1.5 * whole @ b - 0.5 * c, tolerance)
            result = upload(b)
            call(kind, "trsm_v2", 0, upper, 0, 0, m, n, alpha, pointer(upload(half)), m, pointer(result), m)
            close(half @ result.get(), 1.5 * b, 10 * tolerance)
            result = upload(c)
            call(kind, "trmm_v2", 0, upper, 1, 0, m, n, alpha, pointer(upload(half)), m, pointer(upload(b)), m, pointer(result), m)
            close(result.get(), 1.5 * half.T @ b, tolerance)
        result = upload(c)
        b = matrix(n, m, dtype)
        call(kind, "geam", 0, 1, m, n, alpha, pointer(upload(c)), m, beta, pointer(upload(b)), n, pointer(result), m)
        close(result.get(), 1.5 * c - 0.5 * b.T, tolerance)


@check
def mixed_products():
    """cublasGemmEx with 16-bit and 8-bit factors, in batches, and with scalars on the device."""
    m, n, k = 35, 29, 64
    a, b = matrix(m, k, np.float16), matrix(k, n, np.float16)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    for out, kind, tolerance in ((np.float16, 2, 2e-3), (np.float32, 0, 1e-5)):
        result = upload(np.zeros((m, n), out, order="F"))
        ok(blas.cublasGemmEx(handle, 0, 0, m, n, k, byref(c_float(1)), pointer(upload(a)), 2, m, pointer(upload(b)), 2, k,
                             byref(c_float(0)), pointer(result), kind, m, 68, -1))
        close(result.get(), exact, tolerance)
    a, b = (random.integers(-100, 100, (64, 64)).astype(np.int8) for _ in range(2))
    result = upload(np.zeros((64, 64), np.int32))
    ok(blas.cublasGemmEx(handle, 1, 1, 64, 64, 64, byref(c_int(1)), pointer(cupy.asarray(a)), 3, 64, pointer(cupy.asarray(b)), 3, 64,
                         byref(c_int(0)), pointer(result), 10, 64, 72, -1))
    equal(result.get(), a.astype(np.int32) @ b.astype(np.int32))
    a, b = (random.standard_normal((5, 20, 20)).astype(np.float32) for _ in range(2))
    result = cupy.zeros((5, 20, 20), np.float32)
    scalars = cupy.array([2, 0], np.float32)
    ok(blas.cublasSetPointerMode_v2(handle, 1))
    try:
        ok(blas.cublasSgemmStridedBatched(handle, 0, 0, 20, 20, 20, pointer(scalars), pointer(cupy.asarray(b)), 20, c_int64(400),
                                          pointer(cupy.asarray(a)), 20, c_int64(400), pointer(scalars[1:]), pointer(result), 20, c_int64(400), 5))
    finally:
        ok(blas.cublasSetPointerMode_v2(handle, 0))
    close(result.get(), 2 * (a @ b))


class Layout:
    """A cublasLtMatrixLayout_t."""

    def __init__(self, kind, rows, columns, ld, order=0, batch=1, stride=0):
        self.value = c_void_p()
        ok(lt.cublasLtMatrixLayoutCreate(byref(self.value), kind, c_uint64(rows), c_uint64(columns), c_int64(ld)))
        for attribute, value in ((1, c_int(order)), (5, c_int(batch)), (6, c_int64(stride))):
            ok(lt.cublasLtMatrixLayoutSetAttribute(self.value, attribute, byref(value), c_size_t(ctypes.sizeof(value))))


def matmul(compute, scale, ops, layouts, addresses, alpha, beta, epilogue=1, bias=None):
    """cublasLtMatmul as frameworks call it, with the heuristic's first answer."""
    desc, preference, found = c_void_p(), c_void_p(), c_int()
    ok(lt.cublasLtMatmulDescCreate(byref(desc), compute, scale))
    for attribute, value in ((3, ops[0]), (4, ops[1]), (7, epilogue)):
        ok(lt.cublasLtMatmulDescSetAttribute(desc, attribute, byref(c_int(value)), c_size_t(4)))
    if bias is not None:
        ok(lt.cublasLtMatmulDescSetAttribute(desc, 8, byref(pointer(bias)), c_size_t(8)))
    ok(lt.cublasLtMatmulPreferenceCreate(byref(preference)))
    ok(lt.cublasLtMatmulPreferenceSetAttribute(preference, 1, byref(c_uint64(1 << 20)), c_size_t(8)))
    results = (ctypes.c_ubyte * 96)()
    a, b, c, d = (layout.value for layout in layouts)
    status = lt.cublasLtMatmulAlgoGetHeuristic(handle, desc, a, b, c, d, preference, 1, results, byref(found))
    if status or not found.value:
        return status or 15
    stream = c_void_p(cupy.cuda.get_current_stream().ptr)
    pa, pb, pc, pd = (pointer(address) for address in addresses)
    status = lt.cublasLtMatmul(handle, desc, byref(alpha), pa, a, pb, b, byref(beta), pc, c, pd, d, results, None, c_size_t(0), stream)
    ok(lt.cublasLtMatmulPreferenceDestroy(preference))
    ok(lt.cublasLtMatmulDescDestroy(desc))
    return status


@check
def lt_products():
    assert lt.cublasLtGetVersion() >= 120000
    m, n, k = 31, 45, 64
    for dtype, kind, compute, tolerance in ((np.float32, 0, 68, 1e-5), (np.float64, 1, 70, 1e-13), (np.float16, 2, 68, 2e-3)):
        number = c_double if kind == 1 else c_float
        a, b, c = matrix(m, k, dtype), matrix(k, n, dtype), matrix(m, n, dtype)
        wide = [x.astype(np.float64) for x in (a, b, c)]
        wanted = 2 * wide[0] @ wide[1] - wide[2]
        scale = 1 if kind == 1 else 0
        d = upload(np.zeros((m, n), dtype, order="F"))
        layouts = [Layout(kind, m, k, m), Layout(kind, k, n, k), Layout(kind, m, n, m), Layout(kind, m, n, m)]
        ok(matmul(compute, scale, (0, 0), layouts, (upload(a), upload(b), upload(c), d), number(2), number(-1)))
        close(d.get(), wanted, tolerance)
        # B transposed in memory, everything in row order, as frameworks have it.
        d = cupy.zeros((m, n), dtype)
        rows = [cupy.asarray(x.copy(order="C"), order="C") for x in (a, b.T, c)]
        layouts = [Layout(kind, m, k, k, 1), Layout(kind, n, k, k, 1), Layout(kind, m, n, n, 1), Layout(kind, m, n, n, 1)]
        ok(matmul(compute, scale, (0, 1), layouts, (*rows, d), number(2), number(-1)))
        close(d.get(), wanted, tolerance)
    a, b = (random.standard_normal((3, 20, 20)).astype(np.float32) for _ in range(2))
    d = cupy.zeros((3, 20, 20), np.float32)
    layouts = [Layout(0, 20, 20, 20, 1, 3, 400) for _ in range(4)]
    ok(matmul(68, 0, (0, 0), layouts, (cupy.asarray(a), cupy.asarray(b), d, d), c_float(1), c_float(0)))
    close(d.get(), a @ b)
    # What there is no kernel for is refused, not computed otherwise.
    equal(matmul(68, 0, (0, 0), layouts, (d, d, d, d), c_float(1), c_float(0), epilogue=130), 15)
    layouts[1] = Layout(0, 21, 20, 21, 1, 3, 400)
    equal(matmul(68, 0, (0, 0), layouts, (d, d, d, d), c_float(1), c_float(0)), 7)


@check
def lt_epilogues():
    """A bias for each row of the result, ReLU and GELU, in both orders and in batches."""

    def gelu(x):
        return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))

    m, n, k, batch = 19, 37, 24, 2
    functions = ((2, False, lambda x: np.maximum(x, 0)), (4, True, lambda x: x), (6, True, lambda x: np.maximum(x, 0)), (32, False, gelu), (36, True, gelu))
    for dtype, kind, compute, tolerance in ((np.float32, 0, 68, 1e-5), (np.float16, 2, 68, 3e-3), (np.float64, 1, 70, 1e-13)):
        number = c_double if kind == 1 else c_float
        a, b = (random.standard_normal(shape).astype(dtype) for shape in ((batch, m, k), (batch, k, n)))
        bias = random.standard_normal(m).astype(dtype)
        exact = a.astype(np.float64) @ b.astype(np.float64)
        for epilogue, biased, function in functions:
            d = cupy.zeros((batch, m, n), dtype)
            layouts = [Layout(kind, m, k, k, 1, batch, m * k), Layout(kind, k, n, n, 1, batch, k * n)] + [Layout(kind, m, n, n, 1, batch, m * n)] * 2
            status = matmul(compute, 1 if kind == 1 else 0, (0, 0), layouts, (cupy.asarray(a), cupy.asarray(b), d, d), number(1), number(0),
                            epilogue, cupy.asarray(bias) if biased else None)
            if kind == 1 and epilogue & 32:
                equal(status, 15)
                continue
            ok(status)
            close(d.get(), function(exact + bias.astype(np.float64)[:, None] * biased), tolerance)
        first = [upload(np.asfortranarray(x[0])) for x in (a, b)]
        d = upload(np.zeros((m, n), dtype, order="F"))
        layouts = [Layout(kind, m, k, m), Layout(kind, k, n, k), Layout(kind, m, n, m), Layout(kind, m, n, m)]
        ok(matmul(compute, 1 if kind == 1 else 0, (0, 0), layouts, (*first, d, d), number(1), number(0), 6, cupy.asarray(bias)))
        close(d.get(), np.maximum(exact[0] + bias.astype(np.float64)[:, None], 0), tolerance)
    equal(matmul(68, 0, (0, 0), [Layout(0, 4, 4, 4)] * 4, (d, d, d, d), c_float(1), c_float(0), epilogue=4), 7)


@check
def lt_algorithms():
    """The one algorithm, asked for by its number."""
    ids, found, algorithm, value, size = (c_int * 4)(), c_int(), (ctypes.c_ubyte * 64)(), c_int(), c_size_t()
    ok(lt.cublasLtMatmulAlgoGetIds(handle, 68, 0, 0, 0, 0, 0, 4, ids, byref(found)))
    equal(found.value, 1)
    equal(lt.cublasLtMatmulAlgoInit(handle, 68, 0, 0, 0, 0, 0, ids[0] + 1000, algorithm), 7)
    ok(lt.cublasLtMatmulAlgoInit(handle, 68, 0, 0, 0, 0, 0, ids[0], algorithm))
    ok(lt.cublasLtMatmulAlgoConfigSetAttribute(algorithm, 2, byref(c_int(3)), c_size_t(4)))
    ok(lt.cublasLtMatmulAlgoConfigGetAttribute(algorithm, 2, byref(value), c_size_t(4), byref(size)))
    equal((value.value, size.value), (3, 4))
    equal(lt.cublasLtMatmulAlgoConfigSetAttribute(algorithm, 0, byref(c_int(3)), c_size_t(4)), 7)
    ok(lt.cublasLtMatmulAlgoCapGetAttribute(algorithm, 3, byref(value), c_size_t(4), byref(size)))
    equal(value.value, 1)
    desc, result, square = c_void_p(), (ctypes.c_ubyte * 96)(), Layout(0, 8, 8, 8).value
    ok(lt.cublasLtMatmulDescCreate(byref(desc), 68, 0))
    ok(lt.cublasLtMatmulAlgoCheck(handle, desc, square, square, square, square, algorithm, result))
    other = Layout(0, 9, 8, 9).value
    equal(lt.cublasLtMatmulAlgoCheck(handle, desc, square, other, square, square, algorithm, result), 7)
    ok(lt.cublasLtMatmulDescDestroy(desc))


@check
def lt_transforms():
    """cublasLtMatrixTransform: orders, transposition, sums, batches, one operand."""
    m, n = 37, 21
    stream = c_void_p(cupy.cuda.get_current_stream().ptr)

    def transform(scale, ops, alpha, a, a_layout, beta, b, b_layout, c, c_layout):
        desc = c_void_p()
        ok(lt.cublasLtMatrixTransformDescCreate(byref(desc), scale))
        for attribute, value in zip((2, 3), ops):
            ok(lt.cublasLtMatrixTransformDescSetAttribute(desc, attribute, byref(c_int(value)), c_size_t(4)))
        of = lambda layout: layout and layout.value
        status = lt.cublasLtMatrixTransform(handle, desc, byref(alpha), pointer(a), of(a_layout), beta and byref(beta), b is not None and pointer(b) or None,
                                            of(b_layout), pointer(c), of(c_layout), stream)
        ok(lt.cublasLtMatrixTransformDescDestroy(desc))
        return status

    for dtype, kind, scale, tolerance in ((np.float32, 0, 0, 1e-6), (np.float64, 1, 1, 1e-14), (np.float16, 2, 0, 2e-3)):
        number = c_double if kind == 1 else c_float
        a, b = matrix(m, n, dtype), matrix(n, m, dtype)
        wanted = 2 * a.astype(np.float64) - 0.5 * b.T
        c = upload(np.zeros((m, n), dtype, order="F"))
        ok(transform(scale, (0, 1), number(2), upload(a), Layout(kind, m, n, m), number(-0.5), upload(b), Layout(kind, n, m, n), c, Layout(kind, m, n, m)))
        close(c.get(), wanted, tolerance)
        # From columns to rows, the second operand left out.
        rows = cupy.zeros((m, n), dtype)
        ok(transform(scale, (0, 0), number(1), upload(a), Layout(kind, m, n, m), None, None, None, rows, Layout(kind, m, n, n, 1)))
        equal(rows.get(), a)
    batch = random.standard_normal((3, m, n)).astype(np.float32)
    turned = cupy.zeros((3, n, m), np.float32)
    ok(transform(0, (1, 0), c_float(1), cupy.asarray(batch), Layout(0, m, n, n, 1, 3, m * n), None, None, None, turned, Layout(0, n, m, m, 1, 3, m * n)))
    equal(turned.get(), batch.transpose(0, 2, 1))
    equal(transform(0, (0, 0), c_float(1), turned, Layout(0, m, n, m), None, None, None, turned, Layout(0, n, m, n)), 7)
    equal(transform(0, (0, 0), c_float(1), turned, Layout(3, m, n, m), None, None, None, turned, Layout(3, m, n, m)), 15)


@check
def factors():
    """getrfBatched, getrsBatched, getriBatched and matinvBatched: with rows that change places and without, transposed, and of singular matrices."""

    def addresses(array):
        return cupy.asarray(np.array([matrix.data.ptr for matrix in array], np.uint64))

    count = 3
    for kind, scalar, tolerance in (("S", np.float32, 2e-4), ("D", np.float64, 1e-11), ("C", np.complex64, 2e-4), ("Z", np.complex128, 1e-11)):
        call = {name: getattr(blas, f"cublas{kind}{name}Batched") for name in ("getrf", "getrs", "getri")}
        for n in (1, 5, 32, 130) if kind == "D" else (1, 2, 32):
            ld = n + 3
            for pivoting in (True, False):
                matrices = random.standard_normal((count, n, n))
                if scalar in (np.complex64, np.complex128):
                    matrices = matrices + 1j * random.standard_normal((count, n, n))
                if pivoting and n > 1:
                    matrices[1, 0, 0] = 0
                elif not pivoting:
                    matrices += 2 * n * np.eye(n)
                matrices = matrices.astype(scalar)
                # In column order, with three rows that nobody may touch.
                padded = np.full((count, n, ld), 7, scalar)
                padded[:, :, :n] = matrices.transpose(0, 2, 1)
                a = cupy.asarray(padded)
                pivots = cupy.zeros((count, n), np.int32)
                info = cupy.full(count, -1, np.int32)
                p = pointer(pivots) if pivoting else None
                ok(call["getrf"](handle, n, pointer(addresses(a)), ld, p, pointer(info), count))
                equal(info.get(), 0)
                factored = a.get()
                equal(factored[:, :, n:], 7)
                for index in range(count):
                    lu = factored[index, :, :n].T
                    wanted = matrices[index].copy()
                    for row, other in enumerate(pivots.get()[index] - 1 if pivoting else ()):
                        assert other >= row
                        wanted[[row, other]] = wanted[[other, row]]
                    close((np.tril(lu, -1) + np.eye(n)) @ np.triu(lu), wanted, tolerance)
                    assert not pivoting or np.abs(np.tril(lu, -1)).max() <= 1 + tolerance
                given = random.standard_normal((count, n, 4)).astype(scalar)
                for op, turned in ((0, matrices), (1, matrices.transpose(0, 2, 1)), (2, matrices.conj().transpose(0, 2, 1))):
                    b = cupy.asarray(np.ascontiguousarray(given.transpose(0, 2, 1)))
                    status = c_int(-1)
                    ok(call["getrs"](handle, op, n, 4, pointer(addresses(a)), ld, p, pointer(addresses(b)), n, byref(status), count))
                    equal(status.value, 0)
                    close(b.get().transpose(0, 2, 1), np.linalg.solve(turned.astype(np.complex128), given), 30 * tolerance)
                c = cupy.zeros((count, n, n), scalar)
                info = cupy.full(count, -1, np.int32)
                ok(call["getri"](handle, n, pointer(addresses(a)), ld, p, pointer(addresses(c)), n, pointer(info), count))
                equal(info.get(), 0)
                close(c.get().transpose(0, 2, 1), np.linalg.inv(matrices.astype(np.complex128)), 30 * tolerance)
                equal(a.get(), factored)
                if n <= 32:
                    a = cupy.asarray(padded)
                    c, info = cupy.zeros((count, n, n), scalar), cupy.full(count, -1, np.int32)
                    matinv = getattr(blas, f"cublas{kind}matinvBatched")
                    ok(matinv(handle, n, pointer(addresses(a)), ld, pointer(addresses(c)), n, pointer(info), count))
                    equal(info.get(), 0)
                    close(c.get().transpose(0, 2, 1), np.linalg.inv(matrices.astype(np.complex128)), 30 * tolerance)
                    equal(a.get(), padded)
    singular = cupy.asarray(np.array([[[1, 2], [2, 4]], [[0, 0], [0, 0]], [[1, 0], [0, 1]]], np.float64))
    info = cupy.full(3, -1, np.int32)
    pivots = cupy.zeros((3, 2), np.int32)
    ok(blas.cublasDgetrfBatched(handle, 2, pointer(addresses(singular)), 2, pointer(pivots), pointer(info), 3))
    equal(info.get(), [2, 1, 0])
    singular = cupy.asarray(np.array([[[1, 2], [2, 4]], [[0, 0], [0, 0]], [[2, 0], [0, 1]]], np.float64))
    inverses = cupy.zeros((3, 2, 2))
    ok(blas.cublasDmatinvBatched(handle, 2, pointer(addresses(singular)), 2, pointer(addresses(inverses)), 2, pointer(info), 3))
    equal(info.get(), [2, 1, 0])
    equal(inverses.get()[2], [[0.5, 0], [0, 1]])
    equal(blas.cublasDmatinvBatched(handle, 33, pointer(addresses(singular)), 33, pointer(addresses(inverses)), 33, pointer(info), 3), 7)
    status = c_int()
    equal(blas.cublasDgetrsBatched(handle, 0, 2, 1, pointer(addresses(singular)), 1, pointer(pivots), None, 2, byref(status), 3), 7)
    equal(status.value, -5)


class Complex(ctypes.Structure):
    """cuDoubleComplex"""

    _fields_ = [("re", c_double), ("im", c_double)]


@check
def band_and_packed():
    n, k = 45, 4
    for kind, (dtype, number, tolerance) in KINDS.items():
        x = random.standard_normal(n).astype(dtype)
        alpha, beta = byref(number(1.5)), byref(number(-0.5))
        square = matrix(n, n, dtype)
        banded = np.triu(np.tril(square, 2), -3)
        stored = np.zeros((6, n), dtype, order="F")
        for i, j in zip(*np.nonzero(banded)):
            stored[2 + i - j, j] = banded[i, j]
        for transposed in (0, 1):
            result = upload(x)
            call(kind, "gbmv_v2", transposed, n, n, 3, 2, alpha, pointer(upload(stored)), 6, pointer(upload(x)), 1, beta, pointer(result), 1)
            close(result.get(), 1.5 * (banded.T if transposed else banded) @ x - 0.5 * x, tolerance)
        for upper in (0, 1):
            half = (np.triu(square) if upper else np.tril(square)) + 10 * np.eye(n, dtype=dtype)
            packed = np.concatenate([half[: j + 1, j] if upper else half[j:, j] for j in range(n)])
            whole = half + half.T - np.diag(np.diag(half))
            result = upload(x)
            call(kind, "spmv_v2", upper, n, alpha, pointer(upload(packed)), pointer(upload(x)), 1, beta, pointer(result), 1)
            close(result.get(), 1.5 * whole @ x - 0.5 * x, tolerance)
            full = upload(np.zeros((n, n), dtype, order="F"))
            call(kind, "tpttr", upper, n, pointer(upload(packed)), pointer(full), n)
            equal(full.get(), half)
            near = np.triu(half, -k) if not upper else np.tril(half, k)
            stored = np.zeros((k + 1, n), dtype, order="F")
            for i, j in zip(*np.nonzero(near)):
                stored[(k if upper else 0) + i - j, j] = near[i, j]
            for transposed in (0, 1):
                result = upload(x)
                call(kind, "tbsv_v2", upper, transposed, 0, n, k, pointer(upload(stored)), k + 1, pointer(result), 1)
                close((near.T if transposed else near) @ result.get(), x, 50 * tolerance)
                result = upload(x)
                call(kind, "tpmv_v2", upper, transposed, 0, n, pointer(upload(packed)), pointer(result), 1)
                close(result.get(), (half.T if transposed else half) @ x, tolerance)


@check
def old_header():
    """The functions of cublas.h: results and scalars by value, modes as letters."""
    equal(blas.cublasGetError(), 1)
    ok(blas.cublasInit())
    n = 37
    x, y = (random.standard_normal(n) + 1j * random.standard_normal(n) for _ in range(2))
    gx, gy = upload(x), upload(y)
    blas.cublasZdotc.restype, blas.cublasDznrm2.restype, blas.cublasZgemm.restype = Complex, c_double, None
    result = blas.cublasZdotc(n, pointer(gx), 1, pointer(gy), 1)
    close(result.re + 1j * result.im, np.vdot(x, y), 1e-13)
    close(blas.cublasDznrm2(n, pointer(gx), 1), np.linalg.norm(x), 1e-13)
    a, b = (matrix(n, n, np.float64) + 1j * matrix(n, n, np.float64) for _ in range(2))
    c = upload(np.zeros((n, n), np.complex128))
    letters = ctypes.c_char(b"n"), ctypes.c_char(b"C")
    ga, gb = pointer(upload(a)), pointer(upload(b))
    blas.cublasZgemm(*letters, n, n, n, Complex(2, -1), ga, n, gb, n, Complex(0, 0), pointer(c), n)
    close(c.get(), (2 - 1j) * a @ b.conj().T, 1e-12)
    equal(blas.cublasGetError(), 0)
    blas.cublasZgemm(ctypes.c_char(b"?"), letters[1], n, n, n, Complex(2, -1), ga, n, gb, n, Complex(0, 0), pointer(c), n)
    equal((blas.cublasGetError(), blas.cublasGetError()), (7, 0))
    ok(blas.cublasShutdown())


@check
def workspaces():
    """Any address will do, though the manual asks for multiples of 256."""
    memory = cupy.zeros(1 << 16, np.uint8)
    for offset in (0, 128, 64):
        ok(blas.cublasSetWorkspace_v2(handle, c_void_p(memory.data.ptr + offset), c_size_t(1 << 15)))
        a = upload(matrix(40, 1, np.float32))
        result = c_float()
        ok(blas.cublasSdot_v2(handle, 40, pointer(a), 1, pointer(a), 1, byref(result)))
        close(result.value, float(np.vdot(a.get(), a.get())))
    equal(memory.get()[1 << 15 :][128:], 0)
    ok(blas.cublasSetWorkspace_v2(handle, None, c_size_t(0)))


@check
def lower_compute_capability():
    """Products on a device that says 6.1, by the kernels for CPU devices and by those for GPUs."""
    for kernels in ("cpu", "gpu"):
        environment = dict(os.environ, VKCUDA_COMPUTE_CAPABILITY="6.1", VKCUDA_CUBLAS_DEVICE=kernels)
        subprocess.run([sys.executable, __file__, "mixed_products"], env=environment, check=True)


@check
def refusals():
    equal(blas.cublasSgeqrfBatched(handle, 2, 2, None, 2, None, None, 1), 15)
    equal(blas.cublasSgemm_v2(None, 0, 0, 1, 1, 1, None, None, 1, None, 1, None, None, 1), 1)
    equal(blas.cublasSgemm_v2(handle, 0, 0, -1, 1, 1, byref(c_float(1)), None, 1, None, 1, byref(c_float(0)), None, 1), 7)


main()
