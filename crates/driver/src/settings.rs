//! What the environment decides, read once.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `CUDA_VISIBLE_DEVICES` | which devices exist and in what order: indices, `GPU-` UUIDs (or a unique start of one); an entry that names no device ends the list | all |
//! | `VKCUDA_DRIVER_VERSION` | what `cuDriverGetVersion` answers | 13000 |
//! | `VKCUDA_COMPUTE_CAPABILITY` | `9.0` or `90`: what devices report, and which PTX is taken from a fat binary | 9.0 |
//! | `VKCUDA_MULTIPROCESSORS` | multiprocessors that devices report | by device |
//! | `VKCUDA_SHARED_MEMORY` | opt-in shared memory of a block that devices report, bytes | by device |
//! | `VKCUDA_LOG` | what is logged, see [`crate::log`] | `warn` |
//!
//! A program that ships PTX only for a newer architecture, beside machine code for the older ones, needs a higher
//! `VKCUDA_COMPUTE_CAPABILITY`: CuPy's own kernels are PTX for 12.0.
//!
//! `VKCUDA_ALLOW_CPU`, `VKCUDA_VALIDATION`, `VKCUDA_CACHE`, `VKCUDA_CACHE_DIR`, `VKCUDA_PROFILE`, `VKCUDA_EXACT_FTZ` and `VKCUDA_FLOAT64` are the
//! `vulkan` crate's.

use std::str::FromStr;
use std::sync::OnceLock;

/// The settings of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What `cuDriverGetVersion` answers: 13000 is 13.0.
    pub driver_version: u32,
    /// Major and minor compute capability.
    pub compute_capability: (u32, u32),
    /// Multiprocessors, where set.
    pub multiprocessors: Option<u32>,
    /// Opt-in shared memory of a block in bytes, where set.
    pub shared_memory: Option<u32>,
    /// `CUDA_VISIBLE_DEVICES`, where set.
    pub visible_devices: Option<String>,
}

impl Settings {
    /// Reads settings through `variable`, which gives an environment variable's value.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            driver_version: number(&variable, "VKCUDA_DRIVER_VERSION").unwrap_or(13000),
            compute_capability: variable("VKCUDA_COMPUTE_CAPABILITY")
                .and_then(|text| {
                    let parsed = compute_capability(&text);
                    if parsed.is_none() {
                        tracing::warn!("VKCUDA_COMPUTE_CAPABILITY={text}: not like 9.0, ignored");
                    }
                    parsed
                })
                .unwrap_or((9, 0)),
            multiprocessors: number(&variable, "VKCUDA_MULTIPROCESSORS").filter(|&n: &u32| n > 0),
            shared_memory: number(&variable, "VKCUDA_SHARED_MEMORY").filter(|&n: &u32| n > 0),
            visible_devices: variable("CUDA_VISIBLE_DEVICES"),
        }
    }
}

/// The settings of this process.
pub fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| Settings::read(|name| std::env::var(name).ok()))
}

fn number<T: FromStr>(variable: &impl Fn(&str) -> Option<String>, name: &str) -> Option<T> {
    let text = variable(name)?;
    let parsed = text.trim().parse().ok();
    if parsed.is_none() {
        tracing::warn!("{name}={text}: not a number, ignored");
    }
    parsed
}

fn compute_capability(text: &str) -> Option<(u32, u32)> {
    match text.trim().split_once('.') {
        Some((major, minor)) => Some((major.parse().ok()?, minor.parse().ok()?)),
        None => {
            let number: u32 = text.trim().parse().ok()?;
            (number >= 10).then_some((number / 10, number % 10))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_and_values() {
        let none = Settings::read(|_| None);
        assert_eq!(
            (none.driver_version, none.compute_capability),
            (13000, (9, 0))
        );
        let set = Settings::read(|name| match name {
            "VKCUDA_DRIVER_VERSION" => Some("12080".into()),
            "VKCUDA_COMPUTE_CAPABILITY" => Some("120".into()),
            "VKCUDA_MULTIPROCESSORS" => Some("many".into()),
            _ => None,
        });
        assert_eq!(
            (set.driver_version, set.compute_capability),
            (12080, (12, 0))
        );
        assert_eq!(set.multiprocessors, None);
        assert_eq!(compute_capability("8.6"), Some((8, 6)));
        assert_eq!(compute_capability("x"), None);
    }
}
