//! The file in which one run keeps its tokens and logits.
//!
//! Little endian: the eight bytes `GGMLCMP1`, then u32 vocabulary, prompt length, number of tokens, quantised (0 or 1),
//! then one i32 a token and one row of f32 logits a token. Row `i` holds the scores of the token after token `i`.

use std::fs;
use std::path::Path;

use anyhow::{ensure, Context, Result};

const MAGIC: &[u8; 8] = b"GGMLCMP1";

/// Tokens and logits of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Logits in a row.
    pub vocabulary: usize,
    /// How many of the tokens were the prompt, read in one batch.
    pub prompt: usize,
    /// Whether most weights of the model are quantised.
    pub quantised: bool,
    /// Prompt and generated tokens.
    pub tokens: Vec<i32>,
    /// `tokens.len()` rows of `vocabulary` logits.
    pub logits: Vec<f32>,
}

impl Record {
    /// The logits after token `position`.
    pub fn row(&self, position: usize) -> &[f32] {
        &self.logits[position * self.vocabulary..][..self.vocabulary]
    }

    /// Writes the record.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut bytes = MAGIC.to_vec();
        for number in [
            self.vocabulary,
            self.prompt,
            self.tokens.len(),
            usize::from(self.quantised),
        ] {
            bytes.extend(u32::try_from(number)?.to_le_bytes());
        }
        bytes.extend_from_slice(bytemuck::cast_slice(&self.tokens));
        bytes.extend_from_slice(bytemuck::cast_slice(&self.logits));
        fs::write(path, bytes).with_context(|| format!("could not write {}", path.display()))
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When the file is missing, is no record, or has not the size which its head promises.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
        ensure!(
            bytes.len() >= 24 && bytes[..8] == *MAGIC,
            "{} is no file of logits",
            path.display()
        );
        let number =
            |i: usize| bytemuck::pod_read_unaligned::<u32>(&bytes[8 + 4 * i..][..4]) as usize;
        let (vocabulary, prompt, count, quantised) =
            (number(0), number(1), number(2), number(3) != 0);
        ensure!(
            bytes.len() == 24 + 4 * count * (1 + vocabulary) && prompt <= count,
            "{} is cut off",
            path.display()
        );
        let (tokens, logits) = bytes[24..].split_at(4 * count);
        Ok(Self {
            vocabulary,
            prompt,
            quantised,
            tokens: tokens
                .chunks_exact(4)
                .map(bytemuck::pod_read_unaligned)
                .collect(),
            logits: logits
                .chunks_exact(4)
                .map(bytemuck::pod_read_unaligned)
                .collect(),
        })
    }
}

/// The position of the largest value; the first one of equals. NaN is never the largest.
pub fn argmax(row: &[f32]) -> usize {
    let mut best = 0;
    for (i, value) in row.iter().enumerate() {
        if *value > row[best] || row[best].is_nan() {
            best = i;
        }
    }
    best
}
