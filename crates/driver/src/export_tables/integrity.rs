//! The integrity check: a keyed hash over what the runtime has seen of the driver.
//!
//! The runtime asks three times, with its own version and the two numbers after it. For numbers that end in 0 or 1 the
//! answer is a constant, else it is HMAC-MD2 (RFC 2104, RFC 1319) of the driver's version, the process and thread, the
//! addresses of two tables and a function, the time the runtime passed, and of each device's UUID and PCI address.

use super::{runtime, Slot, Table};
use crate::boundary::{call, Accept, Out};
use crate::core::platform::platform;
use crate::settings::settings;
use cuda_abi::CUresult;
use hmac::{Mac, SimpleHmac};
use md2::Md2;
use std::ffi::c_void;

/// 0 size, 1 the check.
pub static TABLE: Table<3> = Table::new([
    Slot::size(3),
    Slot::function(check as *const c_void),
    Slot::EMPTY,
]);

const KEY: [u8; 16] = [
    0x14, 0x6a, 0xdd, 0xae, 0x53, 0xa9, 0xa7, 0x52, 0xaa, 0x08, 0x41, 0x36, 0x0b, 0xf5, 0x5a, 0x9f,
];
const ENDS_IN_0: [u8; 16] = [
    0x5c, 0x67, 0xcb, 0x03, 0x1c, 0x18, 0x41, 0x33, 0xe8, 0xd1, 0x4c, 0x1f, 0xaa, 0x83, 0xd3, 0x8e,
];
const ENDS_IN_1: [u8; 16] = [
    0x5c, 0x67, 0xcb, 0x03, 0x1c, 0x18, 0x41, 0x18, 0xe8, 0xd1, 0x4c, 0x1f, 0xaa, 0x83, 0xd3, 0x8e,
];

/// What the hash covers beside the devices.
struct Facts {
    driver_version: u32,
    version: u32,
    process: u32,
    thread: u32,
    runtime_table: u64,
    integrity_table: u64,
    function: u64,
    seconds: u64,
}

/// A device as the hash covers it: UUID, PCI domain, bus and device.
type DeviceFacts = ([u8; 16], [i32; 3]);

fn answer(facts: &Facts, devices: &[DeviceFacts]) -> [u8; 16] {
    match facts.version % 10 {
        0 => return ENDS_IN_0,
        1 => return ENDS_IN_1,
        _ => {}
    }
    // A key of the block's length is always accepted.
    let mut mac = SimpleHmac::<Md2>::new_from_slice(&KEY)
        .unwrap_or_else(|_| unreachable!("HMAC takes any key"));
    for number in [
        facts.driver_version,
        facts.version,
        facts.process,
        facts.thread,
    ] {
        mac.update(&number.to_le_bytes());
    }
    for number in [
        facts.runtime_table,
        facts.integrity_table,
        facts.function,
        facts.seconds,
    ] {
        mac.update(&number.to_le_bytes());
    }
    for (uuid, pci) in devices {
        mac.update(uuid);
        pci.iter()
            .for_each(|number| mac.update(&number.to_le_bytes()));
    }
    mac.finalize().into_bytes().into()
}

unsafe extern "C" fn check(version: u32, seconds: u64, out: *mut [u8; 16]) -> CUresult {
    call(
        "integrity::check",
        || format!("version={version}, seconds={seconds}"),
        || {
            // SAFETY: the runtime passes a place for sixteen bytes.
            let out: Out<[u8; 16]> = unsafe { Accept::accept(out) };
            let devices: Vec<DeviceFacts> = match platform() {
                Ok(platform) => platform
                    .devices
                    .iter()
                    .map(|device| {
                        let pci = device.pci();
                        (
                            device.uuid().bytes,
                            [pci.domain, pci.bus, pci.device].map(|n| n as i32),
                        )
                    })
                    .collect(),
                Err(_) => Vec::new(),
            };
            let facts = Facts {
                driver_version: settings().driver_version,
                version,
                process: std::process::id(),
                // SAFETY: `pthread_self` has no conditions.
                thread: unsafe { libc::pthread_self() } as u32,
                runtime_table: runtime::TABLE.address() as u64,
                integrity_table: TABLE.address() as u64,
                function: TABLE.slot(1) as u64,
                seconds,
            };
            out.set(answer(&facts, &devices))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts = Facts {
        driver_version: 12080,
        version: 12082,
        process: 1000,
        thread: 0x1000,
        runtime_table: 0x7f00_0000_1000,
        integrity_table: 0x7f00_0000_2000,
        function: 0x7f00_0000_3000,
        seconds: 0x6800_0000,
    };

    fn text(bytes: [u8; 16]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn answers_are_those_the_runtime_computes() {
        assert_eq!(
            text(answer(&FACTS, &[])),
            "bbd0da3d7d3074c494fa6bf4dec31171"
        );
        let uuid = std::array::from_fn(|index| index as u8 + 1);
        assert_eq!(
            text(answer(&FACTS, &[(uuid, [0, 1, 0])])),
            "1df694375d1444d54cf4c2734d6dc1d2"
        );
        assert_eq!(
            answer(
                &Facts {
                    version: 13000,
                    ..FACTS
                },
                &[]
            ),
            ENDS_IN_0
        );
        assert_eq!(
            answer(
                &Facts {
                    version: 13001,
                    ..FACTS
                },
                &[]
            ),
            ENDS_IN_1
        );
    }
}
