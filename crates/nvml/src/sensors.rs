//! What Linux's sysfs tells about a PCI device: load, temperature, power, clocks, fan.
//!
//! amdgpu, i915, xe and nouveau publish different parts of it; a file that is not there is `None`. Units are sysfs's in
//! the files and NVML's in the results.

use std::fs;
use std::path::{Path, PathBuf};

use vulkan::PciAddress;

/// A clock of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Of the processors (amdgpu calls it `sclk`).
    Graphics,
    /// Of the memory (`mclk`).
    Memory,
}

/// A device's folder in sysfs.
#[derive(Clone, Debug)]
pub struct Sensors {
    folder: PathBuf,
}

impl Sensors {
    /// The folder of a PCI device, such as `/sys/bus/pci/devices/0000:03:00.0`; `None` when there is none.
    pub fn of(address: PciAddress) -> Option<Self> {
        Self::at(Path::new("/sys/bus/pci/devices").join(address.to_string()))
    }

    /// The device with this folder.
    pub fn at(folder: PathBuf) -> Option<Self> {
        folder.is_dir().then_some(Self { folder })
    }

    fn text(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(file)).ok()
    }

    fn number(&self, file: &str) -> Option<u64> {
        self.text(file)?.trim().parse().ok()
    }

    /// Hardware monitors, as paths below the folder.
    fn monitors(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.folder.join("hwmon")) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .flatten()
            .map(|entry| format!("hwmon/{}", entry.file_name().to_string_lossy()))
            .collect();
        names.sort();
        names
    }

    /// The first number among `files` of any monitor.
    fn monitor(&self, files: &[&str]) -> Option<u64> {
        self.monitors().iter().find_map(|monitor| {
            files
                .iter()
                .find_map(|file| self.number(&format!("{monitor}/{file}")))
        })
    }

    /// The first number among `files` of the display cards that belong to the device.
    fn card(&self, files: &[&str]) -> Option<u64> {
        let entries = fs::read_dir(self.folder.join("drm")).ok()?;
        let mut cards: Vec<String> = entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.starts_with("card"))
            .collect();
        cards.sort();
        cards.iter().find_map(|card| {
            files
                .iter()
                .find_map(|file| self.number(&format!("drm/{card}/{file}")))
        })
    }

    /// Subsystem device id in the upper half, subsystem vendor id in the lower.
    pub fn subsystem(&self) -> Option<u32> {
        let id = |file| {
            let text = self.text(file)?;
            u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
        };
        Some(id("subsystem_device")? << 16 | id("subsystem_vendor")?)
    }

    /// The PCI class, 24 bits: 0x030000 is a display.
    pub fn class(&self) -> Option<u32> {
        let text = self.text("class")?;
        u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
    }

    /// The list of the processors that are nearest, such as `0-15`.
    pub fn processors(&self) -> Option<String> {
        self.text("local_cpulist")
            .filter(|list| !list.trim().is_empty())
    }

    /// Load of the processors and of the memory, in percent.
    pub fn load(&self) -> Option<(u32, u32)> {
        let percent = |file| u32::try_from(self.number(file)?).ok();
        Some((percent("gpu_busy_percent")?, percent("mem_busy_percent")?))
    }

    /// Temperature in degrees Celsius.
    pub fn temperature(&self) -> Option<u32> {
        u32::try_from(self.monitor(&["temp1_input", "temp2_input"])? / 1000).ok()
    }

    /// Power in milliwatts. Drivers that count energy only (i915, xe) do not tell it.
    pub fn power(&self) -> Option<u32> {
        u32::try_from(self.monitor(&["power1_average", "power1_input"])? / 1000).ok()
    }

    /// The power limit in milliwatts.
    pub fn power_limit(&self) -> Option<u32> {
        u32::try_from(self.monitor(&["power1_cap", "power1_max"])? / 1000).ok()
    }

    /// Fan speed in percent of the highest.
    pub fn fan(&self) -> Option<u32> {
        let speed = self.monitor(&["pwm1"])?;
        u32::try_from(speed * 100 / self.monitor(&["pwm1_max"])?.max(1)).ok()
    }

    /// A clock's frequency now, in MHz.
    pub fn clock(&self, clock: Clock) -> Option<u32> {
        let label = match clock {
            Clock::Graphics => "sclk",
            Clock::Memory => "mclk",
        };
        for monitor in self.monitors() {
            for index in 1..=4 {
                let name = self.text(&format!("{monitor}/freq{index}_label"));
                if name.is_some_and(|name| name.trim() == label) {
                    let hertz = self.number(&format!("{monitor}/freq{index}_input"))?;
                    return u32::try_from(hertz / 1_000_000).ok();
                }
            }
        }
        if clock == Clock::Memory {
            return None;
        }
        let megahertz = self
            .card(&["gt_act_freq_mhz", "gt_cur_freq_mhz"])
            .or_else(|| self.number("tile0/gt0/freq0/act_freq"))?;
        u32::try_from(megahertz).ok()
    }

    /// A clock's highest frequency, in MHz.
    pub fn max_clock(&self, clock: Clock) -> Option<u32> {
        let file = match clock {
            Clock::Graphics => "pp_dpm_sclk",
            Clock::Memory => "pp_dpm_mclk",
        };
        if let Some(text) = self.text(file) {
            // One line for each level, as in `1: 2500Mhz *`.
            return text.lines().filter_map(level_megahertz).max();
        }
        if clock == Clock::Memory {
            return None;
        }
        let megahertz = self
            .card(&["gt_RP0_freq_mhz", "gt_max_freq_mhz"])
            .or_else(|| self.number("tile0/gt0/freq0/rp0_freq"))?;
        u32::try_from(megahertz).ok()
    }
}

fn level_megahertz(line: &str) -> Option<u32> {
    let (_, rest) = line.split_once(':')?;
    let digits: String = rest
        .trim()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder as amdgpu makes it.
    fn card(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("nvml-{name}-{}", std::process::id()));
        for (file, text) in files {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a temporary folder");
            fs::write(path, text).expect("a temporary file");
        }
        folder
    }

    #[test]
    fn amdgpu_files_in_nvml_units() {
        let folder = card(
            "amdgpu",
            &[
                ("gpu_busy_percent", "37\n"),
                ("mem_busy_percent", "5\n"),
                ("subsystem_vendor", "0x1002\n"),
                ("subsystem_device", "0x0e3b\n"),
                ("pp_dpm_sclk", "0: 500Mhz\n1: 2482Mhz *\n"),
                ("hwmon/hwmon3/temp1_input", "61000\n"),
                ("hwmon/hwmon3/power1_average", "143000000\n"),
                ("hwmon/hwmon3/power1_cap", "300000000\n"),
                ("hwmon/hwmon3/pwm1", "51\n"),
                ("hwmon/hwmon3/pwm1_max", "255\n"),
                ("hwmon/hwmon3/freq1_label", "sclk\n"),
                ("hwmon/hwmon3/freq1_input", "2400000000\n"),
                ("hwmon/hwmon3/freq2_label", "mclk\n"),
                ("hwmon/hwmon3/freq2_input", "1249000000\n"),
            ],
        );
        let sensors = Sensors::at(folder.clone()).expect("the folder is there");
        assert_eq!(sensors.load(), Some((37, 5)));
        assert_eq!(sensors.subsystem(), Some(0x0e3b_1002));
        assert_eq!(sensors.temperature(), Some(61));
        assert_eq!(sensors.power(), Some(143_000));
        assert_eq!(sensors.power_limit(), Some(300_000));
        assert_eq!(sensors.fan(), Some(20));
        assert_eq!(sensors.clock(Clock::Graphics), Some(2400));
        assert_eq!(sensors.clock(Clock::Memory), Some(1249));
        assert_eq!(sensors.max_clock(Clock::Graphics), Some(2482));
        assert_eq!(sensors.max_clock(Clock::Memory), None);
        fs::remove_dir_all(folder).expect("the folder can be removed");
    }

    #[test]
    fn intel_files_and_what_they_lack() {
        let folder = card(
            "i915",
            &[
                ("drm/card1/gt_act_freq_mhz", "1150\n"),
                ("drm/card1/gt_RP0_freq_mhz", "2400\n"),
                ("hwmon/hwmon2/energy1_input", "123456\n"),
            ],
        );
        let sensors = Sensors::at(folder.clone()).expect("the folder is there");
        assert_eq!(sensors.clock(Clock::Graphics), Some(1150));
        assert_eq!(sensors.max_clock(Clock::Graphics), Some(2400));
        assert_eq!(
            (sensors.power(), sensors.temperature(), sensors.load()),
            (None, None, None)
        );
        fs::remove_dir_all(folder).expect("the folder can be removed");
        assert!(Sensors::at("/no/such/device".into()).is_none());
    }
}
