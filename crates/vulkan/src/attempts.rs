//! Kernels that a driver's compiler gives up, translated anew for a device that has less ([`Target::reduced`]).
//!
//! Mesa's compiler for Intel refuses a kernel when what it spills does not fit a thread's memory. Where more registers are
//! kept in memory by the translator ([`Target::registers`]), which shares it between them, the compiler spills less. NVIDIA's refuses one when
//! its local memory and what is spilled are too much together, of which the translator knows the first.

use ptx_spirv::Target;

/// How often a target is reduced at most.
pub const MOST_REDUCTIONS: u32 = 2;

/// Makes something of a kernel for ever smaller targets, until it is made. `make` is given how often the device's is to be
/// reduced: 0 first, or what `known` says was needed before. `gave_up` tells which errors may be for the want of registers or memory.
/// Success comes with the reductions that it took.
///
/// # Errors
/// The first attempt's, where none succeeds; that of a later one which `gave_up` does not know.
pub fn with_reductions<T, E: std::fmt::Display>(
    kernel: &str,
    target: &Target,
    known: u32,
    gave_up: impl Fn(&E) -> bool,
    mut make: impl FnMut(u32) -> Result<T, E>,
) -> Result<(T, u32), E> {
    let mut first = None;
    for reductions in known.. {
        let error = match make(reductions) {
            Ok(made) => return Ok((made, reductions)),
            Err(error) if gave_up(&error) => error,
            Err(error) => return Err(error),
        };
        let next = target.reduced(reductions + 1);
        let Some(next) = next.filter(|_| reductions < MOST_REDUCTIONS) else {
            return Err(first.unwrap_or(error));
        };
        let (registers, local_memory) = (next.registers, next.private_memory);
        tracing::warn!(kernel, %error, registers, local_memory, "not compiled, translated anew for less");
        first.get_or_insert(error);
    }
    unreachable!("reductions end")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(target: &Target, known: u32, fails: u32) -> (Vec<u32>, Result<((), u32), String>) {
        let mut tried = Vec::new();
        let result = with_reductions(
            "k",
            target,
            known,
            |error: &String| error.starts_with("too large"),
            |reductions| {
                tried.push(reductions);
                match reductions < fails {
                    true => Err(format!("too large {reductions}")),
                    false => Ok(()),
                }
            },
        );
        (tried, result)
    }

    #[test]
    fn registers_are_halved_until_the_compiler_is_content() {
        let xe2 = Target::xe2();
        assert_eq!(attempts(&xe2, 0, 0), (vec![0], Ok(((), 0))));
        assert_eq!(attempts(&xe2, 0, 1), (vec![0, 1], Ok(((), 1))));
        assert_eq!(attempts(&xe2, 0, 2), (vec![0, 1, 2], Ok(((), 2))));
        assert_eq!(attempts(&xe2, 1, 0), (vec![1], Ok(((), 1))));
        assert_eq!(
            attempts(&xe2, 0, 9),
            (vec![0, 1, 2], Err("too large 0".to_owned()))
        );
    }

    #[test]
    fn compilers_that_have_all_registers_are_asked_once_more() {
        let error = Err("too large 0".to_owned());
        assert_eq!(attempts(&Target::nvidia(), 0, 9), (vec![0, 1], error));
        assert_eq!(
            Target::nvidia().reduced(1).map(|t| t.private_memory),
            Some(0)
        );
    }

    #[test]
    fn other_errors_end_the_attempts() {
        let mut tried = 0;
        let result = with_reductions(
            "k",
            &Target::xe2(),
            0,
            |error: &String| error == "too large",
            |_| {
                tried += 1;
                Err::<(), _>(["too large", "lost"][tried.min(2) - 1].to_owned())
            },
        );
        assert_eq!((tried, result), (2, Err("lost".to_owned())));
    }
}
