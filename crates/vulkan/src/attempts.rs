//! Kernels that a driver's compiler gives up, translated anew for fewer registers.
//!
//! Mesa's compiler for Intel refuses a kernel when what it spills does not fit a thread's memory. Where more registers are
//! kept in memory by the translator ([`Target::registers`]), which shares it between them, the compiler spills less.

use ptx_spirv::Target;

/// How often the number of registers is halved at most.
pub const MOST_HALVINGS: u32 = 2;

/// Makes something of a kernel by ever fewer registers, until it is made. `make` is given how often the device's registers are
/// to be halved: 0 first, or what `known` says was needed before. `gave_up` tells which errors may be for the want of registers.
/// Success comes with the halvings that it took.
///
/// # Errors
/// The first attempt's, where none succeeds; that of a later one which `gave_up` does not know.
pub fn with_fewer_registers<T, E: std::fmt::Display>(
    kernel: &str,
    target: &Target,
    known: u32,
    gave_up: impl Fn(&E) -> bool,
    mut make: impl FnMut(u32) -> Result<T, E>,
) -> Result<(T, u32), E> {
    let mut first = None;
    for halvings in known.. {
        let error = match make(halvings) {
            Ok(made) => return Ok((made, halvings)),
            Err(error) if gave_up(&error) => error,
            Err(error) => return Err(error),
        };
        if target.registers == 0 || halvings >= MOST_HALVINGS {
            return Err(first.unwrap_or(error));
        }
        let registers = target.registers >> (halvings + 1);
        tracing::warn!(kernel, %error, registers, "not compiled, translated anew for fewer registers");
        first.get_or_insert(error);
    }
    unreachable!("the halvings end")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(target: &Target, known: u32, fails: u32) -> (Vec<u32>, Result<((), u32), String>) {
        let mut tried = Vec::new();
        let result = with_fewer_registers(
            "k",
            target,
            known,
            |error: &String| error.starts_with("too large"),
            |halvings| {
                tried.push(halvings);
                match halvings < fails {
                    true => Err(format!("too large {halvings}")),
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
    fn devices_with_registers_enough_are_asked_once() {
        let error = Err("too large 0".to_owned());
        assert_eq!(attempts(&Target::nvidia(), 0, 9), (vec![0], error));
    }

    #[test]
    fn other_errors_end_the_attempts() {
        let mut tried = 0;
        let result = with_fewer_registers(
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
