//! A program: the PTX of a module, parsed, before any context.

use crate::core::jit::JitError;
use cuda_abi::CUresult;
use ptx::Module;
use ptx_spirv::{KernelInfo, ModuleLayout, Target, Translated};
use self_cell::self_cell;
use sha2::{Digest, Sha256};
use std::sync::OnceLock;
use vulkan::cache::Cache;

self_cell!(
    struct Parsed {
        owner: Box<str>,
        #[covariant]
        dependent: Module,
    }
);

/// The newest major version of PTX that is read. Of minor versions all are: what they add is told by the instruction.
const NEWEST_PTX: u16 = 9;

/// The version of PTX, and the target, whose instructions the parser all knows by name.
const ALL_INSTRUCTIONS: ((u16, u16), u32) = ((8, 8), 90);
/// Bytes of `.const` variables that a module may have.
const MAX_CONSTANT: u64 = 65536;
/// Bytes of parameters that a kernel may have, from PTX 8.1 on and before (PTX ISA, "Kernel Function Parameters").
pub const MAX_PARAMETERS: u32 = 32764;
const MAX_OLD_PARAMETERS: u32 = 4352;

/// A module's PTX: its declarations, the layout of its variables, its kernels' translations.
pub struct Program {
    parsed: Parsed,
    /// [`JitOptions::max_registers`](crate::core::jit::JitOptions::max_registers).
    max_registers: Option<u32>,
    layout: OnceLock<Result<ModuleLayout, JitError>>,
    hash: OnceLock<[u8; 32]>,
}

impl Program {
    /// Reads the declarations of a PTX module.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_PTX` and `CUDA_ERROR_UNSUPPORTED_PTX_VERSION` with the parser's message.
    pub fn parse(text: String) -> Result<Self, JitError> {
        let parsed = Parsed::try_new(text.into_boxed_str(), |text| Module::parse(text))?;
        let header = &parsed.borrow_dependent().header;
        let (major, minor) = header.version;
        if major > NEWEST_PTX {
            let message = format!("PTX version {major}.{minor} is not known");
            return Err(JitError::new(CUresult::UNSUPPORTED_PTX_VERSION, message));
        }
        if header.address_size != 64 {
            let message = "addresses of 32 bits are not supported";
            return Err(JitError::new(CUresult::INVALID_PTX, message));
        }
        Ok(Self {
            parsed,
            max_registers: None,
            layout: OnceLock::new(),
            hash: OnceLock::new(),
        })
    }

    /// The same with a limit of registers for kernels that do not say one themselves.
    pub fn with_max_registers(self, max_registers: Option<u32>) -> Self {
        Self {
            max_registers,
            ..self
        }
    }

    /// Registers of a thread that a kernel may take; `None` where nothing limits them.
    pub fn max_registers(&self, kernel: &ptx::Function) -> Option<u32> {
        kernel.max_registers.or(self.max_registers)
    }

    /// The PTX with the limit of registers in each kernel that does not say one itself.
    pub fn text_with_max_registers(&self) -> String {
        let mut text = self.parsed.borrow_owner().to_string();
        let Some(most) = self.max_registers else {
            return text;
        };
        let functions = self.module().functions.iter();
        let kernels = functions.filter(|f| f.is_entry && f.max_registers.is_none());
        let mut places: Vec<usize> = kernels
            .filter_map(|kernel| kernel.body.as_ref())
            // Before the brace that the body begins with.
            .map(|body| body.start - 1)
            .collect();
        places.sort_unstable();
        for place in places.into_iter().rev() {
            text.insert_str(place, &format!(".maxnreg {most} "));
        }
        text
    }

    /// Checks the sizes of what is declared, and parses every function's body, but keeps none: what a caller of the compiler wants to hear at once. An instruction
    /// of newer PTX that is not known is no error yet: other kernels of the module may do without.
    ///
    /// # Errors
    /// As [`Program::parse`], for the first body that is wrong.
    pub fn check(&self) -> Result<(), JitError> {
        let module = self.module();
        if self.constant_bytes() > MAX_CONSTANT {
            let message = "more than 64 KiB of constants";
            return Err(JitError::new(CUresult::INVALID_PTX, message));
        }
        let most = match module.header.version {
            version if version >= (8, 1) => MAX_PARAMETERS,
            _ => MAX_OLD_PARAMETERS,
        };
        for kernel in module.functions.iter().filter(|f| f.is_entry) {
            let parameters = kernel.parameters.iter();
            let bytes = parameters.fold(0u64, |end, p| {
                end.next_multiple_of(p.align.max(1).into())
                    .saturating_add(p.size)
            });
            if bytes > most.into() {
                let message = format!(
                    "kernel {}: {bytes} bytes of parameters, of which there may be {most}",
                    kernel.name
                );
                return Err(JitError::new(CUresult::INVALID_PTX, message));
            }
        }
        for function in module.functions.iter().filter(|f| f.body.is_some()) {
            match module.parse_body(function) {
                Err(error) if !error.unsupported => return Err(error.into()),
                Err(error)
                    if error.unknown_word
                        && module.header.version <= ALL_INSTRUCTIONS.0
                        && module.header.target <= ALL_INSTRUCTIONS.1 =>
                {
                    return Err(JitError::new(CUresult::INVALID_PTX, error.to_string()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Checks that every function that is called or named by a body has a body itself, or is known to the translator.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_PTX` with the name.
    pub fn check_calls(&self) -> Result<(), JitError> {
        match self.missing_function() {
            Some(name) => {
                let message = format!("unresolved extern function '{name}'");
                Err(JitError::new(CUresult::INVALID_PTX, message))
            }
            None => Ok(()),
        }
    }

    /// A function that is called or named by a body, and has none itself.
    pub fn missing_function(&self) -> Option<String> {
        let module = self.module();
        let bodies = module.functions.iter().filter(|f| f.body.is_some());
        for body in bodies.filter_map(|function| module.parse_body(function).ok()) {
            let missing = |symbol: &&ptx::Symbol| {
                symbol.kind == ptx::SymbolKind::Module
                    && !ptx_spirv::graph::is_system_call(&symbol.name)
                    && module
                        .function(&symbol.name)
                        .is_some_and(|f| f.body.is_none())
            };
            if let Some(symbol) = body.symbols.iter().find(missing) {
                return Some(symbol.name.to_string());
            }
        }
        None
    }

    /// The declarations.
    pub fn module(&self) -> &Module<'_> {
        self.parsed.borrow_dependent()
    }

    /// Names of the kernels in order of declaration.
    pub fn kernels(&self) -> impl Iterator<Item = &str> {
        self.module()
            .functions
            .iter()
            .filter(|f| f.is_entry && f.body.is_some())
            .map(|f| &*f.name)
    }

    /// The declaration of a kernel.
    ///
    /// # Errors
    /// `CUDA_ERROR_NOT_FOUND`.
    pub fn kernel(&self, name: &str) -> Result<&ptx::Function, JitError> {
        self.module()
            .function(name)
            .filter(|f| f.is_entry && f.body.is_some())
            .ok_or_else(|| {
                JitError::new(
                    CUresult::NOT_FOUND,
                    format!("the module has no kernel {name}"),
                )
            })
    }

    /// Where the module's variables lie.
    ///
    /// # Errors
    /// Those of the translator.
    pub fn layout(&self) -> Result<&ModuleLayout, JitError> {
        self.layout
            .get_or_init(|| Ok(ModuleLayout::new(self.module())?))
            .as_ref()
            .map_err(Clone::clone)
    }

    /// Bytes of `.const` variables.
    pub fn constant_bytes(&self) -> u64 {
        self.module()
            .variables
            .iter()
            .filter(|v| v.space == ptx::StateSpace::Const)
            .map(|v| v.size)
            .sum()
    }

    /// Translates a kernel, or takes its translation from the cache on disk.
    ///
    /// # Errors
    /// Those of the translator.
    pub fn translate(&self, kernel: &str, target: &Target) -> Result<Translated, JitError> {
        let key = self.cache_key(kernel, target);
        let cache = cache();
        if let Some(translated) = cache.get(&key).and_then(|bytes| unpack(&bytes)) {
            tracing::debug!("{kernel}: translation found in the cache");
            return Ok(translated);
        }
        let started = std::time::Instant::now();
        let translated = ptx_spirv::translate(self.module(), self.layout()?, kernel, target)?;
        tracing::debug!(
            "{kernel}: translated to {} SPIR-V words in {:.1} ms",
            translated.spirv.len(),
            started.elapsed().as_secs_f64() * 1e3
        );
        if let Some(bytes) = pack(&translated) {
            cache.put(&key, &bytes);
        }
        Ok(translated)
    }

    fn cache_key(&self, kernel: &str, target: &Target) -> Vec<u8> {
        let hash = self
            .hash
            .get_or_init(|| Sha256::digest(self.parsed.borrow_owner().as_bytes()).into());
        let mut key = hash.to_vec();
        key.extend_from_slice(&ptx_spirv::REVISION.to_le_bytes());
        key.extend_from_slice(kernel.as_bytes());
        key.push(0);
        key.extend_from_slice(&serde_json::to_vec(target).unwrap_or_default());
        key
    }
}

fn cache() -> &'static Cache {
    static CACHE: OnceLock<Cache> = OnceLock::new();
    CACHE.get_or_init(|| Cache::open("spirv"))
}

/// Length of the description, the description as JSON, the words little endian.
fn pack(translated: &Translated) -> Option<Vec<u8>> {
    let info = serde_json::to_vec(&translated.info).ok()?;
    let mut bytes = (info.len() as u32).to_le_bytes().to_vec();
    bytes.extend_from_slice(&info);
    for word in &translated.spirv {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    Some(bytes)
}

fn unpack(bytes: &[u8]) -> Option<Translated> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (info, words) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let info: KernelInfo = serde_json::from_slice(info).ok()?;
    let words = words.chunks_exact(4);
    if !words.remainder().is_empty() {
        return None;
    }
    let spirv = words
        .map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]]))
        .collect();
    Some(Translated { spirv, info })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PTX: &str = "
        .version 8.0
        .target sm_80
        .address_size 64
        .const .align 4 .b8 table[12];
        .func helper() { ret; }
        .visible .entry one(.param .u64 out) { ret; }
        .entry two() { ret; }";

    #[test]
    fn kernels_are_the_entries() {
        let program = Program::parse(PTX.into()).unwrap();
        assert_eq!(program.kernels().collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(
            program.kernel("helper").unwrap_err().status,
            CUresult::NOT_FOUND
        );
        assert_eq!(program.constant_bytes(), 12);
        assert_eq!(
            Program::parse("nonsense".into()).err().unwrap().status,
            CUresult::INVALID_PTX
        );
        assert_eq!(program.check(), Ok(()));
        // From version 8.1 on there may be more parameters.
        for (version, bytes, fits) in [
            ("8.0", 4352, true),
            ("8.0", 4356, false),
            ("8.1", 32764, true),
            ("8.1", 32768, false),
        ] {
            let large = format!(".param .align 4 .b8 out[{bytes}]");
            let text = PTX
                .replace("8.0", version)
                .replace(".param .u64 out", &large);
            let checked = Program::parse(text).unwrap().check();
            let status = checked.map_err(|error| error.status);
            let expected = match fits {
                true => Ok(()),
                false => Err(CUresult::INVALID_PTX),
            };
            assert_eq!(status, expected, "{version}, {bytes} bytes");
        }
        let wrong = Program::parse(PTX.replace("helper() { ret; }", "helper() { ret }")).unwrap();
        assert_eq!(wrong.check().unwrap_err().status, CUresult::INVALID_PTX);
    }

    #[test]
    fn a_limit_of_registers_is_that_of_kernels_without_one() {
        let text = PTX.replace("two() {", "two() .maxnreg 40 {");
        let program = Program::parse(text).unwrap();
        let limits = |program: &Program| {
            ["one", "two"].map(|name| program.max_registers(program.kernel(name).unwrap()))
        };
        assert_eq!(limits(&program), [None, Some(40)]);
        let program = program.with_max_registers(Some(24));
        assert_eq!(limits(&program), [Some(24), Some(40)]);
        // The text says the same.
        let linked = Program::parse(program.text_with_max_registers()).unwrap();
        assert_eq!(limits(&linked), [Some(24), Some(40)]);
        assert_eq!(linked.check(), Ok(()));
    }

    #[test]
    fn cache_keys_tell_kernels_and_targets_apart() {
        let program = Program::parse(PTX.into()).unwrap();
        let (a, b) = (Target::lavapipe(), Target::subgroup32());
        assert_ne!(program.cache_key("one", &a), program.cache_key("two", &a));
        assert_ne!(program.cache_key("one", &a), program.cache_key("one", &b));
        assert_eq!(program.cache_key("one", &a), program.cache_key("one", &a));
    }
}
