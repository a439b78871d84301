//! Answers of queries, put together of numbers.

/// Bytes of an answer, little-endian.
#[derive(Default)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Bytes {
    pub(crate) fn u16(&mut self, values: &[u16]) -> &mut Self {
        self.0.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        self
    }

    pub(crate) fn u32(&mut self, values: &[u32]) -> &mut Self {
        self.0.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        self
    }

    pub(crate) fn u64(&mut self, values: &[u64]) -> &mut Self {
        self.0.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        self
    }

    /// The lowest `count` bits set, in as few bytes as hold them.
    pub(crate) fn ones(&mut self, count: u32) -> &mut Self {
        let bits = (1u64 << count) - 1;
        let bytes = count.div_ceil(8) as usize;
        self.0.extend_from_slice(&bits.to_le_bytes()[..bytes]);
        self
    }
}
