//! The syntax tree: what a PTX body says, with names already resolved to indices.
//!
//! An instruction is its opcode, its modifiers in the order written, and its operands. `ld.global.nc.v4.f32
//! {%f1, %f2, %f3, %f4}, [%rd1+16];` is
//!
//! ```text
//! Instruction {
//!     opcode: Ld, modifiers: [Global, Nc, V4, F32],
//!     operands: [Vector([Register, Register, Register, Register]), Address { base: Register, offset: 16 }],
//! }
//! ```
//!
//! What a modifier means is the reader's business (it differs by opcode); that it is known at all is checked here.

use smallvec::SmallVec;

/// Declares an enum whose variants each have one spelling in PTX text.
macro_rules! spelled {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        #[allow(missing_docs)]
        pub enum $name { $($variant,)* }

        impl $name {
            /// Every variant, in declaration order.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The spelling in PTX text, without a leading dot or percent sign.
            pub const fn text(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.text())
            }
        }
    };
}

spelled! {
    /// The first word of an instruction (PTX ISA, "Instruction Set").
    Opcode {
        Abs = "abs", Activemask = "activemask", Add = "add", Addc = "addc", Alloca = "alloca", And = "and",
        Applypriority = "applypriority", Atom = "atom", Bar = "bar", Barrier = "barrier", Bfe = "bfe", Bfi = "bfi",
        Bfind = "bfind", Bmsk = "bmsk", Bra = "bra", Brev = "brev", Brkpt = "brkpt", Brx = "brx", Call = "call",
        Clusterlaunchcontrol = "clusterlaunchcontrol", Clz = "clz", Cnot = "cnot", Copysign = "copysign", Cos = "cos",
        Cp = "cp", Createpolicy = "createpolicy", Cvt = "cvt", Cvta = "cvta", Discard = "discard", Div = "div",
        Dp2a = "dp2a", Dp4a = "dp4a", Elect = "elect", Ex2 = "ex2", Exit = "exit", Fence = "fence", Fma = "fma",
        Fns = "fns", Getctarank = "getctarank", Griddepcontrol = "griddepcontrol", Isspacep = "isspacep",
        Istypep = "istypep", Ld = "ld", Ldmatrix = "ldmatrix", Ldu = "ldu", Lg2 = "lg2", Lop3 = "lop3", Mad = "mad",
        Mad24 = "mad24", Madc = "madc", Mapa = "mapa", Match = "match", Max = "max", Mbarrier = "mbarrier",
        Membar = "membar", Min = "min", Mma = "mma", Mov = "mov", Movmatrix = "movmatrix", Mul = "mul",
        Mul24 = "mul24", Multimem = "multimem", Nanosleep = "nanosleep", Neg = "neg", Not = "not", Or = "or",
        Pmevent = "pmevent", Popc = "popc", Prefetch = "prefetch", Prefetchu = "prefetchu", Prmt = "prmt",
        Rcp = "rcp", Red = "red", Redux = "redux", Rem = "rem", Ret = "ret", Rsqrt = "rsqrt", Sad = "sad",
        Selp = "selp", Set = "set", Setmaxnreg = "setmaxnreg", Setp = "setp", Shf = "shf", Shfl = "shfl", Shl = "shl",
        Shr = "shr", Sin = "sin", Slct = "slct", Sqrt = "sqrt", St = "st", Stackrestore = "stackrestore",
        Stacksave = "stacksave", Stmatrix = "stmatrix", Sub = "sub", Subc = "subc", Suld = "suld", Suq = "suq",
        Sured = "sured", Sust = "sust", Szext = "szext", Tanh = "tanh", Tcgen05 = "tcgen05", Tensormap = "tensormap",
        Testp = "testp", Tex = "tex", Tld4 = "tld4", Trap = "trap", Txq = "txq", Vabsdiff = "vabsdiff",
        Vabsdiff2 = "vabsdiff2", Vabsdiff4 = "vabsdiff4", Vadd = "vadd", Vadd2 = "vadd2", Vadd4 = "vadd4",
        Vavrg2 = "vavrg2", Vavrg4 = "vavrg4", Vmad = "vmad", Vmax = "vmax", Vmax2 = "vmax2", Vmax4 = "vmax4",
        Vmin = "vmin", Vmin2 = "vmin2", Vmin4 = "vmin4", Vote = "vote", Vset = "vset", Vset2 = "vset2",
        Vset4 = "vset4", Vshl = "vshl", Vshr = "vshr", Vsub = "vsub", Vsub2 = "vsub2", Vsub4 = "vsub4",
        Wgmma = "wgmma", Wmma = "wmma", Xor = "xor",
    }
}

spelled! {
    /// One dotted part after an opcode. The spelling may contain `::` (`.L2::64B`).
    Modifier {
        // Types
        B1 = "b1", B8 = "b8", B16 = "b16", B32 = "b32", B64 = "b64", B128 = "b128", U2 = "u2", S2 = "s2", U4 = "u4", S4 = "s4", U8 = "u8",
        U16 = "u16", U32 = "u32", U64 = "u64", S8 = "s8", S16 = "s16", S32 = "s32", S64 = "s64", F16 = "f16",
        F16x2 = "f16x2", F32 = "f32", F32x2 = "f32x2", F64 = "f64", Bf16 = "bf16", Bf16x2 = "bf16x2", Tf32 = "tf32",
        E4m3 = "e4m3", E5m2 = "e5m2", E4m3x2 = "e4m3x2", E5m2x2 = "e5m2x2", E4m3x4 = "e4m3x4", E5m2x4 = "e5m2x4",
        E3m2 = "e3m2", E2m3 = "e2m3", E2m1 = "e2m1", E2m1x2 = "e2m1x2", E2m3x2 = "e2m3x2", E3m2x2 = "e3m2x2",
        E2m1x4 = "e2m1x4", E2m3x4 = "e2m3x4", E3m2x4 = "e3m2x4", Ue8m0 = "ue8m0", Ue8m0x2 = "ue8m0x2", Ue4m3 = "ue4m3",
        U16x2 = "u16x2", S16x2 = "s16x2", U8x4 = "u8x4", S8x4 = "s8x4", S2f6x2 = "s2f6x2", Pred = "pred",
        // Vectors
        V2 = "v2", V4 = "v4", V8 = "v8",
        // Rounding and arithmetic
        Rn = "rn", Rz = "rz", Rm = "rm", Rp = "rp", Rna = "rna", Rs = "rs", Rni = "rni", Rzi = "rzi", Rmi = "rmi",
        Rpi = "rpi", Ftz = "ftz", Sat = "sat", Satfinite = "satfinite", Relu = "relu", Noftz = "noftz", Oob = "oob",
        Approx = "approx", Full = "full", Nan = "NaN", Xorsign = "xorsign", AbsMod = "abs", Scaled = "scaled",
        Hi = "hi", Lo = "lo", Wide = "wide", Cc = "cc", Clamp = "clamp", Wrap = "wrap", L = "l", R = "r",
        Shiftamt = "shiftamt", Po = "po", Shr7 = "shr7", Shr15 = "shr15", Pack = "pack", Unpack = "unpack",
        // Byte and half selectors of the video instructions, and prmt modes
        B0 = "b0", B2 = "b2", B3 = "b3", H0 = "h0", H1 = "h1", F4e = "f4e", B4e = "b4e", Rc8 = "rc8", Ecl = "ecl",
        Ecr = "ecr", Rc16 = "rc16",
        // Comparison and boolean
        Eq = "eq", Ne = "ne", Lt = "lt", Le = "le", Gt = "gt", Ge = "ge", Ls = "ls", Hs = "hs", Equ = "equ",
        Neu = "neu", Ltu = "ltu", Leu = "leu", Gtu = "gtu", Geu = "geu", Num = "num", NanCmp = "nan", And = "and",
        Or = "or", Xor = "xor", Not = "not", BoolAnd = "AND", BoolOr = "OR",
        // testp
        Finite = "finite", Infinite = "infinite", Number = "number", Notanumber = "notanumber", Normal = "normal",
        Subnormal = "subnormal",
        // State spaces
        Reg = "reg", Sreg = "sreg", Const = "const", Global = "global", Local = "local", Param = "param",
        Shared = "shared", SharedCta = "shared::cta", SharedCluster = "shared::cluster", ParamEntry = "param::entry",
        ParamFunc = "param::func", Generic = "generic", Tex = "tex",
        // Memory semantics and scope
        Weak = "weak", Volatile = "volatile", Relaxed = "relaxed", Acquire = "acquire", Release = "release",
        AcqRel = "acq_rel", Sc = "sc", Mmio = "mmio", Cta = "cta", Cluster = "cluster", Gpu = "gpu", Sys = "sys",
        Gl = "gl", Proxy = "proxy", Alias = "alias", Async = "async", Unified = "unified",
        MbarrierInit = "mbarrier_init", SyncRestrictSharedCta = "sync_restrict::shared::cta",
        SyncRestrictSharedCluster = "sync_restrict::shared::cluster", AsyncGeneric = "async::generic",
        ProxyTensormap = "tensormap::generic",
        // Caching
        Nc = "nc", Ca = "ca", Cg = "cg", Cs = "cs", Lu = "lu", Cv = "cv", Wb = "wb", Wt = "wt",
        L1EvictNormal = "L1::evict_normal", L1EvictUnchanged = "L1::evict_unchanged", L1EvictFirst = "L1::evict_first",
        L1EvictLast = "L1::evict_last", L1NoAllocate = "L1::no_allocate", L2EvictNormal = "L2::evict_normal",
        L2EvictUnchanged = "L2::evict_unchanged", L2EvictFirst = "L2::evict_first", L2EvictLast = "L2::evict_last",
        L2CacheHint = "L2::cache_hint", L2_64B = "L2::64B", L2_128B = "L2::128B", L2_256B = "L2::256B", L1 = "L1",
        L2 = "L2", EvictLast = "evict_last", EvictNormal = "evict_normal", Fractional = "fractional", Range = "range",
        // Atomics and reductions
        AddMod = "add", IncMod = "inc", DecMod = "dec", MinMod = "min", MaxMod = "max", ExchMod = "exch",
        CasMod = "cas",
        // Address conversion
        To = "to",
        // Control flow, barriers and warp operations
        Uni = "uni", Idx = "idx", Sync = "sync", Aligned = "aligned", Arrive = "arrive", RedMod = "red",
        Warp = "warp", Popc = "popc", Bfly = "bfly", Up = "up", Down = "down", All = "all", Any = "any",
        Ballot = "ballot", Wait = "wait", LaunchDependents = "launch_dependents", Trywait = "try_wait",
        TestWait = "test_wait", Init = "init", Inval = "inval", ArriveDrop = "arrive_drop", Parity = "parity",
        Noinc = "noinc", NoComplete = "noComplete", ExpectTx = "expect_tx", CompleteTx = "complete_tx",
        PendingCount = "pending_count", Phase = "phase",
        // cp.async
        WaitAll = "wait_all", WaitGroup = "wait_group", CommitGroup = "commit_group", Bulk = "bulk",
        Mbarrier = "mbarrier", Tensor = "tensor", Reduce = "reduce", Prefetch = "prefetch",
        // Matrix
        M8n8 = "m8n8", M8n16 = "m8n16", M16n16 = "m16n16", M16n8 = "m16n8", X1 = "x1", X2 = "x2", X4 = "x4",
        Trans = "trans", Row = "row", Col = "col", M8n8k4 = "m8n8k4", M8n8k16 = "m8n8k16", M8n8k32 = "m8n8k32",
        M8n8k128 = "m8n8k128", M16n8k4 = "m16n8k4", M16n8k8 = "m16n8k8", M16n8k16 = "m16n8k16",
        M16n8k32 = "m16n8k32", M16n8k64 = "m16n8k64", M16n8k128 = "m16n8k128", M16n8k256 = "m16n8k256",
        M16n16k16 = "m16n16k16", M32n8k16 = "m32n8k16", M8n32k16 = "m8n32k16", M16n16k8 = "m16n16k8",
        Load = "load", Store = "store", MmaMod = "mma", A = "a", B = "b", C = "c", D = "d", Sp = "sp",
        SpOrdered = "sp::ordered_metadata", Kind = "kind", Fence = "fence", MmaAsync = "mma_async",
        // Textures and surfaces
        OneD = "1d", TwoD = "2d", ThreeD = "3d", A1d = "a1d", A2d = "a2d", Cube = "cube", Acube = "acube",
        Ms2d = "2dms", Ams2d = "a2dms", Level = "level", Grad = "grad", Base = "base", TrapMod = "trap", Zero = "zero",
        P = "p", Width = "width", Height = "height", Depth = "depth", ChannelDataType = "channel_data_type",
        ChannelOrder = "channel_order", NormalizedCoords = "normalized_coords", FilterMode = "filter_mode",
        ForceUnnormalizedCoords = "force_unnormalized_coords",
        AddrMode0 = "addr_mode_0", AddrMode1 = "addr_mode_1", AddrMode2 = "addr_mode_2", ArraySize = "array_size",
        NumMipmapLevels = "num_mipmap_levels", NumSamples = "num_samples", Samplerref = "samplerref",
        Surfref = "surfref", Texref = "texref", G = "g",
        MemoryLayout = "memory_layout",
        // Bulk copies, tensor maps and completion by mbarrier
        FourD = "4d", FiveD = "5d", Tile = "tile", TileGather4 = "tile::gather4", TileScatter4 = "tile::scatter4",
        Im2col = "im2col", Im2colW = "im2col::w", Im2colW128 = "im2col::w::128", Im2colNoOffs = "im2col_no_offs",
        BulkGroup = "bulk_group", CpMask = "cp_mask", Read = "read", MulticastCluster = "multicast::cluster",
        MulticastClusterAll = "multicast::cluster::all", MbarrierCompleteTxBytes = "mbarrier::complete_tx::bytes",
        MbarrierArriveOne = "mbarrier::arrive::one", Tensormap = "tensormap", Replace = "replace",
        CpFenceproxy = "cp_fenceproxy", GlobalAddress = "global_address", Rank = "rank", BoxDim = "box_dim",
        GlobalDim = "global_dim", GlobalStride = "global_stride", ElementStride = "element_stride",
        Elemtype = "elemtype", InterleaveLayout = "interleave_layout", SwizzleMode = "swizzle_mode",
        SwizzleAtomicity = "swizzle_atomicity", FillMode = "fill_mode", B1024 = "b1024",
        // multimem, createpolicy, pmevent, clusterlaunchcontrol
        LdReduce = "ld_reduce", AccF16 = "acc::f16", AccF32 = "acc::f32", Cvt = "cvt", Mask = "mask",
        TryCancel = "try_cancel", QueryCancel = "query_cancel", IsCanceled = "is_canceled",
        GetFirstCtaid = "get_first_ctaid", GetFirstCtaidX = "get_first_ctaid::x",
        GetFirstCtaidY = "get_first_ctaid::y", GetFirstCtaidZ = "get_first_ctaid::z",
        // Block-scaled matrix products and tcgen05
        B8x16 = "b8x16", B6x16P32 = "b6x16_p32", B4x16P64 = "b4x16_p64", BlockScale = "block_scale",
        ScaleVec1x = "scale_vec::1X", ScaleVec2x = "scale_vec::2X", ScaleVec4x = "scale_vec::4X",
        ScaledN2Ue8m0 = "scaled::n2::ue8m0", KindF16 = "kind::f16", KindTf32 = "kind::tf32", KindI8 = "kind::i8",
        KindF8f6f4 = "kind::f8f6f4", KindMxf8f6f4 = "kind::mxf8f6f4", KindMxf4 = "kind::mxf4",
        KindMxf4nvf4 = "kind::mxf4nvf4", CtaGroup1 = "cta_group::1", CtaGroup2 = "cta_group::2", Alloc = "alloc",
        Dealloc = "dealloc", RelinquishAllocPermit = "relinquish_alloc_permit", Ld = "ld", St = "st", Cp = "cp",
        WaitLd = "wait::ld", WaitSt = "wait::st", Shift = "shift", Commit = "commit", Ws = "ws", Ashift = "ashift",
        FenceBeforeThreadSync = "fence::before_thread_sync", FenceAfterThreadSync = "fence::after_thread_sync",
        Pack16b = "pack::16b", Unpack16b = "unpack::16b", Block16 = "block16", Block32 = "block32",
        Shape16x64b = "16x64b", Shape16x128b = "16x128b", Shape16x256b = "16x256b", Shape32x32b = "32x32b",
        Shape16x32bx2 = "16x32bx2", Shape4x256b = "4x256b", Shape128x256b = "128x256b", Shape128x128b = "128x128b",
        Shape64x128b = "64x128b", Shape32x128b = "32x128b", X8 = "x8", X16 = "x16", X32 = "x32", X64 = "x64",
        X128 = "x128", Warpx2_02_13 = "warpx2::02_13", Warpx2_01_23 = "warpx2::01_23", Warpx4 = "warpx4",
        CollectorAFill = "collector::a::fill", CollectorAUse = "collector::a::use",
        CollectorALastuse = "collector::a::lastuse", CollectorADiscard = "collector::a::discard",
    }
}

spelled! {
    /// A special register, spelled after `%` (PTX ISA, "Special Registers"). Vector registers name one component.
    SpecialRegister {
        TidX = "tid.x", TidY = "tid.y", TidZ = "tid.z", NtidX = "ntid.x", NtidY = "ntid.y", NtidZ = "ntid.z",
        CtaidX = "ctaid.x", CtaidY = "ctaid.y", CtaidZ = "ctaid.z", NctaidX = "nctaid.x", NctaidY = "nctaid.y",
        NctaidZ = "nctaid.z", Laneid = "laneid", Warpid = "warpid", Nwarpid = "nwarpid", Smid = "smid",
        Nsmid = "nsmid", Gridid = "gridid", IsExplicitCluster = "is_explicit_cluster", ClusteridX = "clusterid.x",
        ClusteridY = "clusterid.y", ClusteridZ = "clusterid.z", NclusteridX = "nclusterid.x",
        NclusteridY = "nclusterid.y", NclusteridZ = "nclusterid.z", ClusterCtaidX = "cluster_ctaid.x",
        ClusterCtaidY = "cluster_ctaid.y", ClusterCtaidZ = "cluster_ctaid.z", ClusterNctaidX = "cluster_nctaid.x",
        ClusterNctaidY = "cluster_nctaid.y", ClusterNctaidZ = "cluster_nctaid.z", ClusterCtarank = "cluster_ctarank",
        ClusterNctarank = "cluster_nctarank", LanemaskEq = "lanemask_eq", LanemaskLe = "lanemask_le",
        LanemaskLt = "lanemask_lt", LanemaskGe = "lanemask_ge", LanemaskGt = "lanemask_gt", Clock = "clock",
        ClockHi = "clock_hi", Clock64 = "clock64", Globaltimer = "globaltimer", GlobaltimerLo = "globaltimer_lo",
        GlobaltimerHi = "globaltimer_hi", TotalSmemSize = "total_smem_size", AggrSmemSize = "aggr_smem_size",
        DynamicSmemSize = "dynamic_smem_size", CurrentGraphExec = "current_graph_exec",
        ReservedSmemOffsetBegin = "reserved_smem_offset_begin", ReservedSmemOffsetEnd = "reserved_smem_offset_end",
        ReservedSmemOffsetCap = "reserved_smem_offset_cap", Envreg0 = "envreg0", Envreg1 = "envreg1",
        Envreg2 = "envreg2", Pm0 = "pm0", Pm1 = "pm1", Pm2 = "pm2", Pm3 = "pm3",
        Pm4 = "pm4", Pm5 = "pm5", Pm6 = "pm6", Pm7 = "pm7", Pm0_64 = "pm0_64", Pm1_64 = "pm1_64", Pm2_64 = "pm2_64",
        Pm3_64 = "pm3_64", Pm4_64 = "pm4_64", Pm5_64 = "pm5_64", Pm6_64 = "pm6_64", Pm7_64 = "pm7_64",
        Envreg3 = "envreg3", Envreg4 = "envreg4", Envreg5 = "envreg5", Envreg6 = "envreg6", Envreg7 = "envreg7",
        Envreg8 = "envreg8", Envreg9 = "envreg9", Envreg10 = "envreg10", Envreg11 = "envreg11", Envreg12 = "envreg12",
        Envreg13 = "envreg13", Envreg14 = "envreg14", Envreg15 = "envreg15", Envreg16 = "envreg16",
        Envreg17 = "envreg17", Envreg18 = "envreg18", Envreg19 = "envreg19", Envreg20 = "envreg20",
        Envreg21 = "envreg21", Envreg22 = "envreg22", Envreg23 = "envreg23", Envreg24 = "envreg24",
        Envreg25 = "envreg25", Envreg26 = "envreg26", Envreg27 = "envreg27", Envreg28 = "envreg28",
        Envreg29 = "envreg29", Envreg30 = "envreg30", Envreg31 = "envreg31",
        ReservedSmemOffset0 = "reserved_smem_offset_0", ReservedSmemOffset1 = "reserved_smem_offset_1",
    }
}

/// A fundamental type of a declaration or an instruction (PTX ISA, "Types").
pub type ScalarType = Modifier;

impl Modifier {
    /// The size in bytes where this modifier is a type, packed types included; `None` for everything else, for
    /// `.pred` and for types below a byte.
    pub const fn size(self) -> Option<u32> {
        use Modifier::*;
        Some(match self {
            B8 | U8 | S8 | E4m3 | E5m2 | Ue8m0 | Ue4m3 | E3m2 | E2m3 | E2m1x2 => 1,
            B16 | U16 | S16 | F16 | Bf16 | E4m3x2 | E5m2x2 | Ue8m0x2 | E2m3x2 | E3m2x2 | S2f6x2 => {
                2
            }
            B32 | U32 | S32 | F32 | F16x2 | Bf16x2 | Tf32 | U16x2 | S16x2 | U8x4 | S8x4
            | E4m3x4 | E5m2x4 | E2m3x4 | E3m2x4 => 4,
            B64 | U64 | S64 | F64 | F32x2 => 8,
            B128 => 16,
            _ => return None,
        })
    }

    /// Whether this modifier names a type.
    pub const fn is_type(self) -> bool {
        (self as u16) <= (Modifier::Pred as u16)
    }

    /// Whether this modifier is a signed integer type.
    pub const fn is_signed(self) -> bool {
        use Modifier::*;
        matches!(self, S2 | S4 | S8 | S16 | S32 | S64 | S16x2 | S8x4)
    }

    /// Whether this modifier is a floating-point type, packed and alternate formats included.
    pub const fn is_float(self) -> bool {
        use Modifier::*;
        matches!(
            self,
            F16 | F16x2 | F32 | F32x2 | F64 | Bf16 | Bf16x2 | Tf32 | E4m3 | E5m2 | E4m3x2 | E5m2x2
        )
    }
}

/// A byte offset into the module's text; [`crate::Module::line`] turns it into a line number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span(pub u32);

/// A register of a body: index into [`Body::registers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegisterId(pub u32);

/// A label of a body: index into [`Body::labels`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelId(pub u32);

/// A named thing an operand refers to: index into [`Body::symbols`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SymbolId(pub u32);

/// The parsed body of one function.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Body {
    /// The type of each register, by [`RegisterId`]. A vector register is as many consecutive scalars.
    pub registers: Vec<ScalarType>,
    /// Those of them that are the module's, which all functions share.
    pub module_registers: std::ops::Range<u32>,
    /// Names of registers, for messages: `(first, count, prefix)`; count is `None` for a name without a number.
    pub register_names: Vec<(RegisterId, Option<u32>, Box<str>)>,
    /// The name of each label, by [`LabelId`].
    pub labels: Vec<Box<str>>,
    /// `.local`, `.shared`, `.param` and `.global` variables declared inside the body, nested scopes included.
    pub variables: Vec<Variable>,
    /// What operands refer to by name, by [`SymbolId`].
    pub symbols: Vec<Symbol>,
    /// `.branchtargets` lists, referred to by [`Operand::BranchTargets`].
    pub branch_targets: Vec<Vec<LabelId>>,
    /// `.callprototype` declarations, referred to by [`Operand::Prototype`].
    pub prototypes: Vec<Prototype>,
    /// Labels and instructions in text order.
    pub statements: Vec<Statement>,
}

/// A label or an instruction.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Statement {
    Label(LabelId),
    Instruction(Instruction),
}

/// `@%p` or `@!%p` before an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Predicate {
    pub register: RegisterId,
    pub negated: bool,
}

/// One instruction.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Instruction {
    pub predicate: Option<Predicate>,
    pub opcode: Opcode,
    pub modifiers: SmallVec<[Modifier; 6]>,
    pub operands: SmallVec<[Operand; 4]>,
    /// Of video instructions with operands that are not whole registers as they are: what is said of the destination and of the
    /// sources.
    pub parts: Option<Box<[Part; 4]>>,
    pub span: Span,
}

/// What a video instruction says of an operand (PTX ISA, "Scalar Video Instructions", "SIMD Video Instructions").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Part {
    /// `-r1`, of `vmad`.
    pub negated: bool,
    /// `r1.b3`, `r1.h20`
    pub selector: Option<Selector>,
}

/// The bytes or halves of a register, or of two, that a video instruction takes or writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selector {
    /// `.h`, else `.b`
    pub halves: bool,
    /// How many there are.
    pub count: u8,
    /// Their numbers, the last written first: `.h20` is 0, 2.
    pub places: [u8; 4],
}

impl Selector {
    /// The numbers of the bytes or halves, the last written first.
    pub fn places(&self) -> &[u8] {
        &self.places[..self.count.into()]
    }

    /// `h20`, `b3210`
    fn parse(text: &[u8]) -> Option<Self> {
        let (first, digits) = text.split_first()?;
        let halves = match first {
            b'h' => true,
            b'b' => false,
            _ => return None,
        };
        let mut selector = Self {
            halves,
            ..Self::default()
        };
        for digit in digits.iter().rev() {
            let most = if halves { b'3' } else { b'7' };
            let place = selector.places.get_mut(usize::from(selector.count))?;
            *place = (b'0'..=most).contains(digit).then_some(digit - b'0')?;
            selector.count += 1;
        }
        (selector.count > 0).then_some(selector)
    }

    /// Whether it may stand behind an operand: the destination, or a source of which each has so many parts in each register.
    fn suits(&self, is_destination: bool, ways: u8) -> bool {
        let places = self.places();
        let in_register: u8 = if self.halves { 2 } else { 4 };
        match (ways, is_destination) {
            // One byte or half.
            (1, _) => places.len() == 1 && places[0] < in_register,
            // A mask.
            (_, true) => {
                in_register == ways
                    && places.windows(2).all(|pair| pair[0] < pair[1])
                    && places.iter().all(|&place| place < ways)
            }
            // One for each part, of either source.
            _ => in_register == ways && places.len() == usize::from(ways),
        }
    }

    /// The selector with this text behind an operand of an instruction: `.b3`, without the dot.
    pub(crate) fn of(text: &[u8], opcode: Opcode, is_destination: bool) -> Option<Self> {
        let ways = opcode.video_ways()?;
        Self::parse(text).filter(|s| s.suits(is_destination, ways))
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.halves { "h" } else { "b" })?;
        self.places()
            .iter()
            .rev()
            .try_for_each(|p| write!(f, "{p}"))
    }
}

impl Opcode {
    /// Of a video instruction: how many parts of a register it works on, 1 of the scalar ones.
    pub const fn video_ways(self) -> Option<u8> {
        use Opcode::*;
        Some(match self {
            Vadd | Vsub | Vabsdiff | Vmin | Vmax | Vshl | Vshr | Vset | Vmad => 1,
            Vadd2 | Vsub2 | Vavrg2 | Vabsdiff2 | Vmin2 | Vmax2 | Vset2 => 2,
            Vadd4 | Vsub4 | Vavrg4 | Vabsdiff4 | Vmin4 | Vmax4 | Vset4 => 4,
            _ => return None,
        })
    }
}

impl Instruction {
    /// Whether the modifier is present.
    pub fn has(&self, modifier: Modifier) -> bool {
        self.modifiers.contains(&modifier)
    }

    /// The type modifiers, in order.
    pub fn types(&self) -> impl DoubleEndedIterator<Item = ScalarType> + '_ {
        self.modifiers.iter().copied().filter(|m| m.is_type())
    }

    /// Elements of an access: 4 of `ld.v4`, 1 without such a modifier.
    pub fn vector_width(&self) -> u8 {
        let widths = self.modifiers.iter().map(|m| match m {
            Modifier::V2 => 2,
            Modifier::V4 => 4,
            Modifier::V8 => 8,
            _ => 1,
        });
        widths.max().unwrap_or(1)
    }

    /// Opcode and modifiers as written: `add.ftz.f32`.
    pub fn mnemonic(&self) -> String {
        let mut text = self.opcode.text().to_owned();
        for m in &self.modifiers {
            text.push('.');
            text.push_str(m.text());
        }
        text
    }
}

/// An operand.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// `%r1`
    Register(RegisterId),
    /// `!%p1`
    NotRegister(RegisterId),
    /// `42`, `-1`, `0x10U`: the value modulo 2^64 (negative numbers sign-extended).
    Integer(u64),
    /// `0f3F800000`: the bits of a single-precision number.
    Single(u32),
    /// `0d3FF0000000000000` or a decimal floating-point literal: the bits of a double-precision number.
    Double(u64),
    /// `%tid.x`
    Special(SpecialRegister),
    /// A variable or function named as a value: `mov.u64 %rd1, table;`, `table+8`.
    Symbol {
        #[allow(missing_docs)]
        symbol: SymbolId,
        #[allow(missing_docs)]
        offset: i64,
    },
    /// `[%rd1+8]`, `[table+4]`, `[64]`.
    Address {
        #[allow(missing_docs)]
        base: AddressBase,
        #[allow(missing_docs)]
        offset: i64,
    },
    /// `{%r1, %r2}`, also a vector register named whole.
    Vector(Box<[Operand]>),
    /// `(a, b)` of a call: its results or its arguments.
    List(Box<[Operand]>),
    /// `%p1|%p2`, `%r1|%p1`: two destinations.
    Pair(Box<(Operand, Operand)>),
    /// `_`: a result not wanted.
    Sink,
    /// The target of a branch.
    Label(LabelId),
    /// The table of a `brx.idx`: index into [`Body::branch_targets`].
    BranchTargets(u32),
    /// The prototype of an indirect call: index into [`Body::prototypes`].
    Prototype(u32),
    /// `[tex, {x, y}]` and `[tex, sampler, {x, y}]`: everything between the brackets.
    TextureAddress(Box<[Operand]>),
}

/// What an address starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum AddressBase {
    Register(RegisterId),
    Symbol(SymbolId),
    /// `[64]`: the offset alone.
    Absolute,
}

/// A name in a body.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Symbol {
    pub name: Box<str>,
    pub kind: SymbolKind,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolKind {
    /// The function's parameter with this index.
    Parameter(u32),
    /// The function's result with this index.
    Result(u32),
    /// [`Body::variables`] at this index.
    Local(u32),
    /// Anything declared outside the body: a variable or function of the module, found by name.
    Module,
}

/// The state space of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum StateSpace {
    /// Parameters and results of a `.func` declared as registers: they are the first registers of its body, results
    /// before parameters.
    Reg,
    Const,
    Global,
    Local,
    Param,
    Shared,
    Tex,
}

/// `.extern`, `.visible`, `.weak`, `.common`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Linkage {
    #[default]
    Internal,
    Extern,
    Visible,
    Weak,
    Common,
}

/// What a variable of an opaque type refers to (PTX ISA, "Texture Sampler and Surface Types").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpaqueKind {
    /// `.texref`
    Texture,
    /// `.samplerref`
    Sampler,
    /// `.surfref`
    Surface,
}

/// A variable's opaque type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opaque {
    /// What it refers to.
    pub kind: OpaqueKind,
    /// The fields of its initialiser, `filter_mode = linear`, as written.
    pub fields: Vec<(Box<str>, Box<str>)>,
}

/// A variable or parameter declaration.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// The name as written.
    pub name: Box<str>,
    /// Where it lives.
    pub space: StateSpace,
    /// How other modules see it.
    pub linkage: Linkage,
    /// The element type; `None` for `.texref`, `.samplerref`, `.surfref`.
    pub element: Option<ScalarType>,
    /// What a variable without an element type refers to. It is a handle of eight bytes.
    pub opaque: Option<Opaque>,
    /// `.attribute(.managed)`: the host reaches it at the same address (PTX ISA, "Variable and Function Attribute Directive").
    pub managed: bool,
    /// The declared alignment in bytes, at least the natural one.
    pub align: u32,
    /// The size in bytes; 0 for an array without a length (`.extern .shared .align 16 .b8 s[];`).
    pub size: u64,
    /// Whether it was declared as an array (also one without a length).
    pub is_array: bool,
    /// The initial value, flattened; empty for none (zero).
    pub initializer: Vec<Initial>,
    /// Where it was declared.
    pub span: Span,
}

impl Variable {
    /// Of a register: how many scalars it is; 1 unless it is a vector.
    pub fn components(&self) -> u32 {
        let size = self.element.and_then(Modifier::size).unwrap_or(1).max(1);
        ((self.size / u64::from(size)).max(1)) as u32
    }
}

/// A piece of an initialiser, at a byte offset from the start of the variable.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Initial {
    /// Plain bytes, little endian.
    Bytes { offset: u64, bytes: Vec<u8> },
    /// The address of a symbol, plus an addend; `generic` if written `generic(name)`; `mask` selects one byte
    /// (`0xFF(name)`), with `size` 1.
    Address {
        offset: u64,
        size: u32,
        symbol: Box<str>,
        addend: i64,
        generic: bool,
        mask: Option<u64>,
    },
}

/// A `.callprototype`.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Prototype {
    pub name: Box<str>,
    pub results: Vec<Variable>,
    pub parameters: Vec<Variable>,
}

/// The head of an `.entry` or `.func`, with the place of its body.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// The name as written (mangled).
    pub name: Box<str>,
    /// `.entry` (a kernel) or `.func`.
    pub is_entry: bool,
    /// How other modules see it.
    pub linkage: Linkage,
    /// `.func (.reg .b32 r) f`: results, as `.param` variables or registers.
    pub results: Vec<Variable>,
    /// Parameters in order. A kernel's are laid out by [`Function::parameter_offsets`].
    pub parameters: Vec<Variable>,
    /// `.maxntid x, y, z`; missing values are 1.
    pub max_threads: Option<[u32; 3]>,
    /// `.reqntid x, y, z`; missing values are 1.
    pub required_threads: Option<[u32; 3]>,
    /// `.reqnctapercluster x, y, z`; missing values are 1.
    pub required_cluster: Option<[u32; 3]>,
    /// `.minnctapersm`.
    pub min_blocks_per_multiprocessor: Option<u32>,
    /// `.maxnreg`.
    pub max_registers: Option<u32>,
    /// `.noreturn`
    pub no_return: bool,
    /// The byte range of the body in the module's text, braces excluded; `None` for a declaration.
    pub body: Option<std::ops::Range<usize>>,
    /// Where it was declared.
    pub span: Span,
}

impl Function {
    /// The byte offset of each kernel parameter in the parameter block, and the size of the block: each parameter at
    /// the next multiple of its alignment (PTX ISA, "Kernel Function Parameters").
    pub fn parameter_offsets(&self) -> (Vec<u32>, u32) {
        let mut end = 0u32;
        let offsets = self
            .parameters
            .iter()
            .map(|p| {
                let start = end.next_multiple_of(p.align.max(1));
                end = start + p.size as u32;
                start
            })
            .collect();
        (offsets, end)
    }
}

/// Registers declared at module level, of which each thread has one set for all functions (PTX before 3.0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleRegisters {
    /// The name as written.
    pub name: Box<str>,
    /// Their type.
    pub element: ScalarType,
    /// Components of each: 1 unless they are vectors.
    pub width: u32,
    /// How many there are, numbered from 0; `None` for one with this very name.
    pub count: Option<u64>,
}

impl ModuleRegisters {
    /// How many scalar registers they are.
    pub fn total(&self) -> u64 {
        self.count.unwrap_or(1).saturating_mul(self.width.into())
    }
}

/// A module's declarations. Bodies are parsed on demand by [`Module::parse_body`](crate::Module::parse_body).
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// `.version major.minor`.
    pub version: (u16, u16),
    /// `.target`: `90` of `sm_90a`.
    pub target: u32,
    /// The letter after the number: `a` of `sm_90a`.
    pub target_suffix: Option<char>,
    /// `.target texmode_independent`: textures are read through samplers of their own.
    pub independent_textures: bool,
    /// `.address_size`: 64 or 32.
    pub address_size: u32,
}
