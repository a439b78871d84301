//! `printf` in kernels.
//!
//! A kernel that prints appends records to a buffer, whose address every launch gets (`ptx-spirv`, `emit/call.rs`): u32
//! bytes used and u32 capacity, then records of u32 size, u32 size of the arguments, u64 address of the format, and the
//! arguments, each aligned to its size. What a synchronising call finds in the buffer goes to standard output, like on
//! NVIDIA's driver (CUDA C++ Programming Guide, "Formatted Output").
//!
//! Threads whose assertion fails append a record, too, whose second word has its highest bit set. The first call that tells of
//! the fault writes them to standard error ("Assertion"). Kernels with assertions cost nothing else: nothing is looked for in
//! the buffer as long as there is no fault.

use crate::boundary::Result;
use crate::core::status::IntoCuda;
use crate::core::stream::StreamGroup;
use crate::core::variables;
use cuda_abi::CUresult;
use parking_lot::{Mutex, MutexGuard};
use std::ffi::{c_char, CString};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use vulkan::{Allocation, Error, FaultCode, MemoryKind};

/// Bytes of the buffer, `CU_LIMIT_PRINTF_FIFO_SIZE`'s initial value.
const BUFFER_BYTES: u64 = 1 << 20;
/// Bytes before the first record.
const HEADER_BYTES: usize = 8;
/// Bytes of a record before its arguments.
const RECORD_HEADER_BYTES: usize = 16;
/// In the second word of a record: it is a failed assertion's.
const ASSERTION: u32 = 1 << 31;
/// The longest format or string that is printed, bytes.
const LONGEST_TEXT: usize = 1 << 16;

/// The buffer of a context's kernels. Allocated when the first kernel that prints or has assertions is launched.
#[derive(Default)]
pub struct Printf {
    buffer: Mutex<Option<Buffer>>,
    pending: AtomicBool,
}

struct Buffer {
    allocation: Allocation,
    host: usize,
}

/// Held while a kernel that writes to the buffer is launched: nothing is taken from the buffer meanwhile.
pub struct Launching<'a> {
    /// The buffer's device address.
    pub address: u64,
    _buffer: MutexGuard<'a, Option<Buffer>>,
}

impl Printf {
    /// The buffer, for a launch of a kernel that prints, or else has assertions.
    ///
    /// # Errors
    /// `CUDA_ERROR_OUT_OF_MEMORY`.
    pub fn launching(&self, vulkan: &Arc<vulkan::Device>, prints: bool) -> Result<Launching<'_>> {
        let mut buffer = self.buffer.lock();
        let address = match &*buffer {
            Some(buffer) => buffer.allocation.address(),
            None => {
                let allocation = vulkan.allocate(BUFFER_BYTES, MemoryKind::Host).cuda()?;
                let host = allocation.host().ok_or(CUresult::OUT_OF_MEMORY)? as usize;
                let new = Buffer { allocation, host };
                new.reset(BUFFER_BYTES as usize);
                buffer.insert(new).allocation.address()
            }
        };
        if prints {
            self.pending.store(true, Ordering::Relaxed);
        }
        Ok(Launching {
            address,
            _buffer: buffer,
        })
    }

    /// Prints what is in the buffer, once all work has completed. Costs a load where no kernel prints.
    ///
    /// # Errors
    /// The sticky error.
    pub fn drain(&self, group: &StreamGroup) -> Result {
        if !self.pending.load(Ordering::Relaxed) {
            return Ok(());
        }
        let buffer = self.buffer.lock();
        group.vulkan.synchronize().cuda()?;
        if let Some(buffer) = &*buffer {
            buffer.print(group);
        }
        self.pending.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Prints what is in the buffer if an error is a failed assertion, also what kernels printed before.
    pub fn drain_failed(&self, group: &StreamGroup, error: &Error) {
        if !matches!(error, Error::Fault(fault) if fault.code == FaultCode::Assert) {
            return;
        }
        // A launch that fails has the buffer itself; the next call shows them.
        let Some(buffer) = self.buffer.try_lock() else {
            return;
        };
        if let Some(buffer) = &*buffer {
            // Kernels on other streams may still write to it.
            match group.vulkan.synchronize() {
                Ok(()) | Err(Error::Fault(_)) => buffer.print(group),
                Err(error) => tracing::debug!("a failed assertion cannot be shown: {error}"),
            }
        }
    }
}

impl Buffer {
    /// Empties the buffer, of which so many bytes were used. They become zeros, which end the records where one did not fit.
    fn reset(&self, used: usize) {
        let header = self.host as *mut u32;
        let used = used.min(BUFFER_BYTES as usize - HEADER_BYTES);
        // SAFETY: as below; the buffer has that many bytes behind its header.
        unsafe { std::ptr::write_bytes((self.host + HEADER_BYTES) as *mut u8, 0, used) };
        // SAFETY: the buffer is mapped for as long as the allocation lives, and no kernel uses it.
        unsafe {
            header.write_volatile(0);
            header
                .add(1)
                .write_volatile(BUFFER_BYTES as u32 - HEADER_BYTES as u32);
        }
    }

    /// Takes the records out and prints them.
    fn print(&self, group: &StreamGroup) {
        let records = self.contents();
        let output = output(&records, |address| text_at(group, address));
        self.reset(records.len());
        print(&output.printed);
        // Nobody is told where it cannot be written.
        let _ = std::io::stderr().write_all(&output.failed);
    }

    /// The records.
    fn contents(&self) -> Vec<u8> {
        // SAFETY: as above.
        let used = unsafe { (self.host as *const u32).read_volatile() } as usize;
        let length = used.min(BUFFER_BYTES as usize - HEADER_BYTES);
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts((self.host + HEADER_BYTES) as *const u8, length) }
            .to_vec()
    }
}

/// NUL-terminated text in device memory.
fn text_at(group: &StreamGroup, address: u64) -> Vec<u8> {
    // A device with a fault copies nothing any more, and what is in a module need not be fetched.
    if group.vulkan.check().is_err() {
        if let Some(mut text) = variables::initial_at(address, LONGEST_TEXT) {
            cut(&mut text);
            return text;
        }
    }
    let Some(found) = group.vulkan.find(address) else {
        return b"(invalid)".to_vec();
    };
    let offset = address - found.base;
    let mut text = vec![0; (found.size - offset).min(LONGEST_TEXT as u64) as usize];
    match found.host {
        Some(host) => {
            // SAFETY: the allocation is mapped from `host` on and holds that many bytes behind the address.
            unsafe { std::ptr::copy(host.add(offset as usize), text.as_mut_ptr(), text.len()) };
        }
        None => {
            let read = group.open.take_stream().and_then(|stream| {
                let read = stream.read(address, &mut text).cuda();
                group.open.give_back(stream);
                read
            });
            if read.is_err() {
                return b"(unreadable)".to_vec();
            }
        }
    }
    cut(&mut text);
    text
}

/// Ends a text at its first NUL.
fn cut(text: &mut Vec<u8>) {
    let end = text.iter().position(|&byte| byte == 0);
    text.truncate(end.unwrap_or(text.len()));
}

fn print(bytes: &[u8]) {
    // Through C's standard output, whose buffer the program's own output shares.
    for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
        if let Ok(text) = CString::new(piece) {
            // SAFETY: both are NUL-terminated strings, and the format takes one.
            unsafe { libc::printf(c"%s".as_ptr(), text.as_ptr()) };
        }
    }
}

/// What records print.
#[derive(Debug, Default, PartialEq)]
struct Output {
    /// By `printf`.
    printed: Vec<u8>,
    /// By assertions that failed.
    failed: Vec<u8>,
}

/// What a sequence of records prints. `text` reads strings of the device.
fn output(mut records: &[u8], text: impl Fn(u64) -> Vec<u8>) -> Output {
    let mut output = Output::default();
    while records.len() >= RECORD_HEADER_BYTES {
        let (header, rest) = records.split_at(RECORD_HEADER_BYTES);
        let word = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let is_assertion = word(4) & ASSERTION != 0;
        let (size, arguments) = (word(0) as usize, (word(4) & !ASSERTION) as usize);
        if size < RECORD_HEADER_BYTES || size > records.len() || arguments > rest.len() {
            break;
        }
        let format = text(u64::from(word(8)) | u64::from(word(12)) << 32);
        match is_assertion {
            true => failed(&mut output.failed, &format, &rest[..arguments], &text),
            false => formatted(&mut output.printed, &format, &rest[..arguments], &text),
        }
        records = &records[size..];
    }
    output
}

/// Arguments as a variadic call on the device packs them.
struct Arguments<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Arguments<'_> {
    /// The next argument of 4 or 8 bytes; 0 behind the end.
    fn next(&mut self, size: usize) -> u64 {
        self.at = self.at.next_multiple_of(size);
        let mut value = [0; 8];
        if let Some(bytes) = self.bytes.get(self.at..self.at + size) {
            value[..size].copy_from_slice(bytes);
        }
        self.at += size;
        u64::from_le_bytes(value)
    }
}

/// Appends what NVIDIA's driver says of a failed assertion (CUDA C++ Programming Guide, "Assertion").
fn failed(output: &mut Vec<u8>, message: &[u8], words: &[u8], text: &impl Fn(u64) -> Vec<u8>) {
    let words = words.chunks_exact(4);
    let words: Vec<u32> = words
        .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
        .collect();
    let &[file, file_high, line, function, function_high, ref place @ ..] = &words[..] else {
        return;
    };
    let &[bx, by, bz, x, y, z] = place else {
        return;
    };
    let text = |low, high| text(u64::from(low) | u64::from(high) << 32);
    output.extend(text(file, file_high));
    output.extend(format!(":{line}: ").bytes());
    output.extend(text(function, function_high));
    output.extend(format!(": block: [{bx},{by},{bz}], thread: [{x},{y},{z}] ").bytes());
    output.extend(b"Assertion `");
    output.extend(message);
    output.extend(b"` failed.\n");
}

/// Appends a format with its arguments, as C's `printf` writes it.
fn formatted(
    output: &mut Vec<u8>,
    format: &[u8],
    arguments: &[u8],
    text: &impl Fn(u64) -> Vec<u8>,
) {
    let mut arguments = Arguments {
        bytes: arguments,
        at: 0,
    };
    let mut rest = format;
    while let Some(&byte) = rest.first() {
        rest = &rest[1..];
        if byte != b'%' {
            output.push(byte);
            continue;
        }
        // The specification without its length, which is chosen anew: what was an int on the device is one here.
        let mut specification = vec![b'%'];
        let mut long = false;
        loop {
            let Some(&byte) = rest.first() else {
                output.extend(specification);
                return;
            };
            rest = &rest[1..];
            match byte {
                b'*' => specification.extend((arguments.next(4) as i32).to_string().bytes()),
                b'-' | b'+' | b' ' | b'#' | b'.' | b'0'..=b'9' => specification.push(byte),
                b'l' | b'j' | b'z' | b't' => long = true,
                b'h' | b'L' | b'q' => {}
                conversion => {
                    converted(
                        output,
                        specification,
                        conversion,
                        long,
                        &mut arguments,
                        text,
                    );
                    break;
                }
            }
        }
    }
}

fn converted(
    output: &mut Vec<u8>,
    mut specification: Vec<u8>,
    conversion: u8,
    long: bool,
    arguments: &mut Arguments<'_>,
    text: &impl Fn(u64) -> Vec<u8>,
) {
    let integer = |arguments: &mut Arguments<'_>| arguments.next(if long { 8 } else { 4 });
    match conversion {
        b'%' => output.push(b'%'),
        b'd' | b'i' => {
            let value = integer(arguments);
            let value = if long {
                value as i64
            } else {
                i64::from(value as i32)
            };
            specification.extend(b"lld");
            // SAFETY: the format takes one long long.
            write(output, specification, |to, size, format| unsafe {
                libc::snprintf(to, size, format, value)
            });
        }
        b'u' | b'o' | b'x' | b'X' => {
            let value = integer(arguments);
            specification.extend([b'l', b'l', conversion]);
            // SAFETY: the format takes one unsigned long long.
            write(output, specification, |to, size, format| unsafe {
                libc::snprintf(to, size, format, value)
            });
        }
        b'c' => {
            let value = arguments.next(4) as i32;
            specification.push(b'c');
            // SAFETY: the format takes one int.
            write(output, specification, |to, size, format| unsafe {
                libc::snprintf(to, size, format, value)
            });
        }
        b'f' | b'F' | b'e' | b'E' | b'g' | b'G' | b'a' | b'A' => {
            let value = f64::from_bits(arguments.next(8));
            specification.push(conversion);
            // SAFETY: the format takes one double.
            write(output, specification, |to, size, format| unsafe {
                libc::snprintf(to, size, format, value)
            });
        }
        b'p' => {
            let value = arguments.next(8) as usize as *const u8;
            specification.push(b'p');
            // SAFETY: the format takes one pointer, which is only shown.
            write(output, specification, |to, size, format| unsafe {
                libc::snprintf(to, size, format, value)
            });
        }
        b's' => {
            let value = CString::new(text(arguments.next(8))).unwrap_or_default();
            specification.push(b's');
            // SAFETY: the format takes one string.
            write(output, specification, |to, size, format| unsafe {
                libc::snprintf(to, size, format, value.as_ptr())
            });
        }
        // Unknown: shown as it stands, like on the device.
        other => {
            output.extend(specification);
            output.push(other);
        }
    }
}

/// Appends what `snprintf` makes of a specification.
fn write(
    output: &mut Vec<u8>,
    specification: Vec<u8>,
    snprintf: impl Fn(*mut c_char, usize, *const c_char) -> i32,
) {
    let Ok(format) = CString::new(specification) else {
        return;
    };
    let length = snprintf(std::ptr::null_mut(), 0, format.as_ptr());
    let Ok(length) = usize::try_from(length) else {
        return;
    };
    if length > LONGEST_TEXT {
        return;
    }
    let mut buffer = vec![0u8; length + 1];
    snprintf(buffer.as_mut_ptr().cast(), buffer.len(), format.as_ptr());
    output.extend(&buffer[..length]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(format: &str, arguments: &[u8]) -> String {
        let mut output = Vec::new();
        formatted(&mut output, format.as_bytes(), arguments, &|address| {
            format!("<{address}>").into_bytes()
        });
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn conversions_are_those_of_c() {
        let mut arguments = Vec::new();
        arguments.extend((-5i32).to_le_bytes());
        arguments.extend(200u32.to_le_bytes());
        arguments.extend(1.5f64.to_le_bytes());
        arguments.extend((b'x' as u32).to_le_bytes());
        arguments.extend([0; 4]);
        arguments.extend((-7i64).to_le_bytes());
        arguments.extend(9u64.to_le_bytes());
        assert_eq!(
            show("%d [%5x] %.2f %c %lld %s 100%%\n", &arguments),
            "-5 [   c8] 1.50 x -7 <9> 100%\n"
        );
        assert_eq!(show("%u", &(-1i32).to_le_bytes()), "4294967295");
        assert_eq!(show("%-4d|%hhd", &[3, 0, 0, 0, 4, 0, 0, 0]), "3   |4");
        assert_eq!(show("%*d", &[3, 0, 0, 0, 4, 0, 0, 0]), "  4");
        assert_eq!(show("cut %", &[]), "cut %");
        assert_eq!(show("%d %k", &[]), "0 %k");
    }

    #[test]
    fn damaged_records_end_the_output() {
        let mut record = Vec::new();
        record.extend(20u32.to_le_bytes());
        record.extend(4u32.to_le_bytes());
        record.extend(1u64.to_le_bytes());
        record.extend(6u32.to_le_bytes());
        let text = |address| {
            if address == 1 {
                b"%d;".to_vec()
            } else {
                Vec::new()
            }
        };
        let two = [record.clone(), record.clone()].concat();
        let printed = |records: &[u8]| String::from_utf8(output(records, text).printed).unwrap();
        assert_eq!(printed(&two), "6;6;");
        record[0] = 0;
        assert_eq!(printed(&record), "");
        assert_eq!(printed(&two[..30]), "6;");
    }

    #[test]
    fn assertions_go_apart() {
        let mut records = Vec::new();
        let mut append = |words: &[u32]| records.extend(words.iter().flat_map(|w| w.to_le_bytes()));
        append(&[16, 0, 9, 0]);
        append(&[60, ASSERTION | 44, 1, 0, 2, 0, 77, 3, 0, 4, 5, 6, 7, 8, 9]);
        append(&[16, 0, 9, 0]);
        let output = output(&records, |address| format!("<{address}>").into_bytes());
        assert_eq!(output.printed, b"<9><9>");
        let expected = "<2>:77: <3>: block: [4,5,6], thread: [7,8,9] Assertion `<1>` failed.\n";
        assert_eq!(String::from_utf8(output.failed).unwrap(), expected);
    }
}
