//! The results of single operations, to find the first one that a device computes wrongly.
//!
//! A model is a graph of operations ("nodes"), each with a name such as `ffn_out-3`: the output of the feed-forward of
//! layer 3. A run with `--nodes FILE` keeps the result of every node of the prompt's batch and of the first generated
//! token. `ggml-compare nodes` prints the errors of two such files side by side; the first bad line is where to look.
//! Asking for a node keeps a backend from fusing it with the next one: `--nodes-only l_out` asks only for some, so that
//! the nodes between them are computed as they are otherwise.

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context, Result};

use crate::library::{string, Functions};

/// What to compare.
#[derive(clap::Args)]
pub struct Options {
    /// Nodes of the reference.
    reference: PathBuf,
    /// Nodes to judge.
    candidate: PathBuf,
    /// Print only nodes with a larger error than this.
    #[arg(long, default_value_t = 0.0)]
    above: f64,
}

/// The result of one operation.
#[derive(Debug, PartialEq)]
pub struct Node {
    /// Name of the operation and of the result, and the shape, such as `MUL_MAT Qcur-0 256x107`.
    pub title: String,
    /// The numbers, in memory order.
    pub values: Vec<f32>,
}

/// Collects nodes while a graph is computed.
pub struct Collector<'a> {
    functions: &'a Functions,
    only: String,
    /// What was collected so far.
    pub nodes: Vec<Node>,
}

impl<'a> Collector<'a> {
    /// A collector of the nodes whose name contains `only`.
    pub fn new(functions: &'a Functions, only: &str) -> Self {
        Self {
            functions,
            only: only.to_owned(),
            nodes: Vec::new(),
        }
    }

    /// `ggml_backend_sched_eval_callback`: called before each node, to ask whether its result is wanted, and after it.
    ///
    /// # Safety
    /// `tensor` is a live tensor and `user` a `Collector` which nobody else uses meanwhile.
    pub unsafe extern "C" fn callback(tensor: *mut c_void, ask: bool, user: *mut c_void) -> bool {
        // SAFETY: by contract.
        let collector = unsafe { &mut *user.cast::<Collector<'_>>() };
        let c = collector.functions;
        // SAFETY: a live tensor; its first field is its type, and its four sizes begin at byte 16.
        let (name, operation, kind, size, contiguous) = unsafe {
            (
                string((c.ggml_get_name)(tensor)),
                string((c.ggml_op_desc)(tensor)),
                *tensor.cast::<c_int>(),
                *tensor.cast::<u8>().add(16).cast::<[i64; 4]>(),
                (c.ggml_is_contiguous)(tensor),
            )
        };
        let computes = !matches!(
            operation.as_str(),
            "VIEW" | "RESHAPE" | "PERMUTE" | "TRANSPOSE"
        );
        let wanted = computes && contiguous && kind <= 1 && name.contains(&collector.only);
        if ask || !wanted {
            return if ask { wanted } else { true };
        }
        let count = size.iter().product::<i64>() as usize;
        let mut values = vec![0f32; count];
        // SAFETY: the buffers have room for all elements of the tensor, which is contiguous.
        unsafe {
            if kind == 0 {
                (c.ggml_backend_tensor_get)(tensor, values.as_mut_ptr().cast(), 0, 4 * count);
            } else {
                let mut halves = vec![0u16; count];
                (c.ggml_backend_tensor_get)(tensor, halves.as_mut_ptr().cast(), 0, 2 * count);
                (c.ggml_fp16_to_fp32_row)(halves.as_ptr(), values.as_mut_ptr(), count as i64);
            }
        }
        let used = 4 - size.iter().rev().take_while(|n| **n == 1).count();
        let shape: Vec<_> = size[..used.max(1)].iter().map(i64::to_string).collect();
        collector.nodes.push(Node {
            title: format!("{operation} {name} {}", shape.join("x")),
            values,
        });
        true
    }
}

/// Writes nodes: for each the length of its title, the title, the count of its numbers, the numbers.
///
/// # Errors
/// Those of the file system.
pub fn save(path: &Path, nodes: &[Node]) -> Result<()> {
    let mut file = BufWriter::new(
        File::create(path).with_context(|| format!("could not write {}", path.display()))?,
    );
    for node in nodes {
        file.write_all(&(node.title.len() as u64).to_le_bytes())?;
        file.write_all(node.title.as_bytes())?;
        file.write_all(&(node.values.len() as u64).to_le_bytes())?;
        file.write_all(bytemuck::cast_slice(&node.values))?;
    }
    file.flush().map_err(Into::into)
}

/// Reads what [`save`] wrote.
fn load(path: &Path) -> Result<Vec<Node>> {
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(|| format!("could not read {}", path.display()))?;
    BufReader::new(file).read_to_end(&mut bytes)?;
    let mut rest = bytes.as_slice();
    let mut take = |count: usize| -> Result<&[u8]> {
        ensure!(count <= rest.len(), "{} is cut off", path.display());
        let (head, tail) = rest.split_at(count);
        rest = tail;
        Ok(head)
    };
    let mut nodes = Vec::new();
    while let Ok(length) = take(8) {
        let length = bytemuck::pod_read_unaligned::<u64>(length) as usize;
        let title = String::from_utf8(take(length)?.to_vec())?;
        let count = bytemuck::pod_read_unaligned::<u64>(take(8)?) as usize;
        let values = take(count.saturating_mul(4))?;
        nodes.push(Node {
            title,
            values: values
                .chunks_exact(4)
                .map(bytemuck::pod_read_unaligned)
                .collect(),
        });
    }
    Ok(nodes)
}

/// Prints the normalised mean square error of every node, in the order of computation.
///
/// # Errors
/// When a file cannot be read or the two have no node in common.
pub fn compare(options: &Options) -> Result<()> {
    let candidate = load(&options.candidate)?;
    let mut rest = candidate.as_slice();
    let mut common = 0;
    for reference in load(&options.reference)? {
        // Backends order independent nodes in different ways, and leave out different ones.
        let Some(i) = rest
            .iter()
            .take(64)
            .position(|n| n.title == reference.title)
        else {
            continue;
        };
        let found = &rest[i];
        if i == 0 {
            rest = &rest[1..];
        }
        common += 1;
        let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
        let pairs = || reference.values.iter().zip(&found.values);
        let difference = square(&mut pairs().map(|(r, c)| f64::from(*c) - f64::from(*r)));
        let size = square(&mut reference.values.iter().map(|r| f64::from(*r)));
        let error = if difference == 0.0 {
            0.0
        } else {
            difference / size
        };
        let odd = found.values.iter().filter(|v| !v.is_finite()).count();
        let within = error <= options.above; // false for NaN
        if !within || odd > 0 || options.above == 0.0 {
            let (at, (r, c)) = pairs()
                .enumerate()
                .max_by(|a, b| (a.1 .0 - a.1 .1).abs().total_cmp(&(b.1 .0 - b.1 .1).abs()))
                .unwrap_or((0, (&0.0, &0.0)));
            println!(
                "{error:9.2e}  {:<48} worst at {at}: {r} became {c}{}",
                reference.title,
                if odd > 0 {
                    format!("; not finite: {odd}")
                } else {
                    String::new()
                }
            );
        }
    }
    ensure!(common > 0, "the files have no node in common");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_what_was_written() {
        let path = std::env::temp_dir().join(format!("ggml-compare-nodes-{}", std::process::id()));
        let nodes = vec![
            Node {
                title: "MUL_MAT Qcur-0 2".into(),
                values: vec![1.0, -2.5],
            },
            Node {
                title: "ADD l_out-0 1".into(),
                values: vec![3.0],
            },
        ];
        save(&path, &nodes).unwrap();
        assert_eq!(load(&path).unwrap(), nodes);
        std::fs::write(&path, &std::fs::read(&path).unwrap()[..30]).unwrap();
        assert!(load(&path).is_err());
        std::fs::remove_file(path).unwrap();
    }
}
