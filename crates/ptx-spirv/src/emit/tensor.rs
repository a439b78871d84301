//! cp.async.bulk.tensor and cp.reduce.async.bulk.tensor in tiled mode (PTX ISA, "Data Movement and Conversion Instructions: Tensor
//! copy"), by the thread that executes it, at once.
//!
//! The tensor map is this project's own (`texture::tensor`). Rows of a box are whole multiples of 16 bytes in shared memory, and so
//! are the pieces that are copied: as one where all of it is inside of the tensor and aligned there, else byte by byte.

use super::memory::{Access, Address, Space};
use super::texture::READ_ONLY;
use super::*;
use ::texture::tensor::{offset, ElementType, NOT_A_NUMBER};

/// Bytes of a piece.
const PIECE: u32 = 16;

/// A tensor map's words, and the first corner of the box.
struct Tensor {
    rank: usize,
    map: Id,
    /// Bytes of an element.
    size: Id,
    counts: Vec<Id>,
    dimensions: Vec<Id>,
    /// Elements of the tensor from one of the box to the next.
    steps: Vec<Id>,
    /// Bits of an address that change with those three above.
    swizzle: Id,
    /// Bytes of a row of the box, and from one to the next in shared memory.
    row: Id,
    pitch: Id,
    /// Whether elements are TF32.
    is_tensor_float: Id,
    fills_nan: Id,
    corner: Vec<Id>,
    /// Where the box begins in shared memory.
    shared: Id,
}

/// Where some elements of a row of the box are.
struct Row {
    /// In the tensor.
    address: Id,
    /// The index of the first in the first dimension.
    first: Id,
    /// Whether the other indices are inside of the tensor.
    others_inside: Id,
}

/// How large a tensor map is.
const TENSOR_MAP_BYTES: i64 = 128;

impl Emitter<'_> {
    pub(super) fn tensor_copy(&mut self, i: &Instruction) -> Result<()> {
        use Modifier as M;
        let other_modes = [
            M::Im2col,
            M::Im2colW,
            M::Im2colW128,
            M::Im2colNoOffs,
            M::TileGather4,
            M::TileScatter4,
            M::MulticastClusterAll,
            M::CtaGroup1,
            M::CtaGroup2,
        ];
        if other_modes.iter().any(|m| i.has(*m)) {
            return unsupported(i);
        }
        if i.has(M::Prefetch) {
            return Ok(());
        }
        let dimensions = [M::OneD, M::TwoD, M::ThreeD, M::FourD, M::FiveD];
        let Some(rank) = dimensions.iter().position(|m| i.has(*m)) else {
            return unsupported(i);
        };
        let load = i.has(M::MbarrierCompleteTxBytes);
        let tensor = self.tensor(i, rank + 1, load)?;
        if !load {
            return match i.has(M::Reduce) {
                true => self.reduce_tensor(i, &tensor),
                false => self.copy_pieces(&tensor, false),
            };
        }
        let bytes = self.box_bytes(&tensor);
        if !i.has(M::MulticastCluster) {
            self.copy_pieces(&tensor, true)?;
            return self.complete_bytes(self.operand(i, 2)?, bytes);
        }
        // A cluster is one block, the first.
        let blocks = self.value(self.operand(i, 3)?, Type::U32)?;
        let meant = self.has_flag(blocks, 1);
        let mut result = Ok(());
        self.when(meant, |e| {
            result = e.copy_pieces(&tensor, true).and_then(|()| {
                let barrier = e.operand(i, 2)?;
                e.complete_bytes(barrier, bytes)
            });
        });
        result
    }

    /// A tensor map from shared to global memory, by a warp (PTX ISA, "tensormap.cp_fenceproxy"): every lane copies all of it, so that each
    /// finds it whole.
    pub(super) fn tensor_map(&mut self, i: &Instruction) -> Result<()> {
        if !i.has(Modifier::CpFenceproxy) {
            return unsupported(i);
        }
        if Self::literal(self.operand(i, 2)?) != Some(TENSOR_MAP_BYTES as u64) {
            return Err(EmitError::Invalid(format!(
                "{} of other than {TENSOR_MAP_BYTES} bytes",
                i.mnemonic()
            )));
        }
        self.warp_barrier(&Operand::Integer(u64::MAX))?;
        let to = self.address(self.operand(i, 0)?, Space::Global)?;
        let from = self.address(self.operand(i, 1)?, Space::Shared)?;
        let (ty, access) = (Type::Vector(Scalar::U32, 4), Access::default());
        for n in 0..TENSOR_MAP_BYTES / 16 {
            let from = Address {
                space: from.space,
                id: self.offset(from.id, Type::U32, n * 16),
            };
            let to = Address {
                space: to.space,
                id: self.offset(to.id, Type::U64, n * 16),
            };
            let v = self.load(from, ty, access);
            self.store(to, ty, v, access);
        }
        self.fence(i)
    }

    fn tensor(&mut self, i: &Instruction, rank: usize, load: bool) -> Result<Tensor> {
        let Operand::TextureAddress(parts) = self.operand(i, usize::from(load))? else {
            return Err(EmitError::Invalid(format!(
                "{} without coordinates",
                i.mnemonic()
            )));
        };
        let [map, coordinates] = &**parts else {
            return unsupported(i);
        };
        let coordinates = Self::elements(coordinates);
        if coordinates.len() != rank {
            return Err(EmitError::Invalid(format!(
                "{} with {} coordinates",
                i.mnemonic(),
                coordinates.len()
            )));
        }
        let map = match map {
            Operand::Symbol { symbol, offset } => {
                let v = self.symbol_address(*symbol, *offset)?;
                self.cast(v, Type::U64)
            }
            o => self.value(o, Type::U64)?,
        };
        let corner = coordinates
            .iter()
            .map(|c| self.value(c, Type::U32))
            .collect::<Result<Vec<_>>>()?;
        let shared = self.operand(i, usize::from(!load))?;
        let shared = self.address(shared, Space::Shared)?.id;
        let word = |e: &mut Self, at: u32| {
            let at = e.offset(map, Type::U64, at.into());
            e.load_device(at, Type::U32, READ_ONLY)
        };
        let list = |e: &mut Self, start: u32| -> Vec<Id> {
            (0..rank as u32).map(|n| word(e, start + 4 * n)).collect()
        };
        let size = word(self, offset::FORMAT);
        let swizzle = word(self, offset::FORMAT + 8);
        let flags = word(self, offset::FORMAT + 12);
        let (one, four) = (self.asm.u32(1), self.asm.u32(4));
        let bits = self.n(Op::ShiftLeftLogical, one, swizzle);
        let bits = self.n(Op::ISub, bits, one);
        let counts = list(self, offset::COUNTS);
        let row = self.n(Op::IMul, counts[0], size);
        let (none, sixteen) = (self.asm.u32(0), self.asm.u32(16));
        let plain = self.test(Op::IEqual, swizzle, none);
        let pattern = self.n(Op::ShiftLeftLogical, sixteen, swizzle);
        let pitch = self.pick(Type::U32, plain, row, pattern);
        let element = word(self, offset::FORMAT + 4);
        let short = self.asm.u32(ElementType::TensorFloat32 as u32);
        let is_tensor_float = self.test(Op::UGreaterThanEqual, element, short);
        Ok(Tensor {
            rank,
            map,
            size,
            counts,
            row,
            pitch,
            is_tensor_float,
            dimensions: list(self, offset::DIMENSIONS),
            steps: list(self, offset::STEPS),
            swizzle: self.n(Op::ShiftLeftLogical, bits, four),
            fills_nan: self.has_flag(flags, 1),
            corner,
            shared,
        })
    }

    /// Bytes of a box.
    fn box_bytes(&mut self, tensor: &Tensor) -> Id {
        let counts = tensor.counts.iter();
        counts.fold(tensor.size, |product, &n| self.n(Op::IMul, product, n))
    }

    /// The place of an element, by its number in the box.
    fn tensor_row(&mut self, tensor: &Tensor, number: Id) -> Row {
        let at = self.offset(tensor.map, Type::U64, offset::ADDRESS.into());
        let mut address = self.load_device(at, Type::U64, READ_ONLY);
        let mut rest = number;
        let mut first = number;
        let mut others_inside = self.asm.constant(Type::Bool, 1);
        for axis in 0..tensor.rank {
            let count = tensor.counts[axis];
            let index = self.n(Op::UMod, rest, count);
            rest = self.n(Op::UDiv, rest, count);
            let index = self.n(Op::IMul, index, tensor.steps[axis]);
            let index = self.n(Op::IAdd, index, tensor.corner[axis]);
            // Indices outside of the tensor lead to addresses that nobody reads.
            let wide = self.asm.op(Op::SConvert, Type::U64, &[index]);
            let stride = if axis == 0 {
                first = index;
                self.asm.op(Op::UConvert, Type::U64, &[tensor.size])
            } else {
                let inside = self.test(Op::ULessThan, index, tensor.dimensions[axis]);
                others_inside = self.test(Op::LogicalAnd, others_inside, inside);
                let at = offset::STRIDES + 8 * (axis as u32 - 1);
                let at = self.offset(tensor.map, Type::U64, at.into());
                self.load_device(at, Type::U64, READ_ONLY)
            };
            let skip = self.w(Op::IMul, wide, stride);
            address = self.w(Op::IAdd, address, skip);
        }
        Row {
            address,
            first,
            others_inside,
        }
    }

    /// Where a byte of the box is in shared memory.
    fn in_box(&mut self, tensor: &Tensor, at: Id) -> Address {
        let line = self.n(Op::UDiv, at, tensor.row);
        let column = self.n(Op::UMod, at, tensor.row);
        let line = self.n(Op::IMul, line, tensor.pitch);
        let at = self.n(Op::IAdd, line, column);
        let plain = self.n(Op::IAdd, tensor.shared, at);
        let three = self.asm.u32(3);
        let above = self.n(Op::ShiftRightLogical, plain, three);
        let bits = self.n(Op::BitwiseAnd, above, tensor.swizzle);
        Address {
            space: Space::Shared,
            id: self.n(Op::BitwiseXor, plain, bits),
        }
    }

    /// Copies the box into shared memory, or out of it.
    fn copy_pieces(&mut self, tensor: &Tensor, load: bool) -> Result<()> {
        let bytes = self.box_bytes(tensor);
        let whole = Type::Vector(Scalar::U32, 4);
        self.for_each_part(bytes, PIECE, |e, at| {
            let number = e.n(Op::UDiv, at, tensor.size);
            let row = e.tensor_row(tensor, number);
            let here = e.in_box(tensor, at);
            let piece = e.asm.u32(PIECE);
            let elements = e.n(Op::UDiv, piece, tensor.size);
            // Inside as a whole: the first element is, and so many are left from there on.
            let starts = e.test(Op::ULessThan, row.first, tensor.dimensions[0]);
            let left = e.n(Op::ISub, tensor.dimensions[0], row.first);
            let enough = e.test(Op::ULessThanEqual, elements, left);
            let low = e.asm.op(Op::UConvert, Type::U32, &[row.address]);
            let (fifteen, zero) = (e.asm.u32(PIECE - 1), e.asm.u32(0));
            let low = e.n(Op::BitwiseAnd, low, fifteen);
            let mut at_once = e.test(Op::IEqual, low, zero);
            for condition in [starts, enough, row.others_inside] {
                at_once = e.test(Op::LogicalAnd, at_once, condition);
            }
            e.when(at_once, |e| {
                if load {
                    let v = e.load_device(row.address, whole, Access::default());
                    let v = e.choose(
                        tensor.is_tensor_float,
                        whole,
                        |e| {
                            let words = [0, 1, 2, 3].map(|n| {
                                let word = e.part(v, n);
                                e.nearest_tf32(word, false)
                            });
                            e.asm.op(Op::CompositeConstruct, whole, &words)
                        },
                        |_| v,
                    );
                    e.store(here, whole, v, Access::default());
                } else {
                    let v = e.load(here, whole, Access::default());
                    e.store_device(row.address, whole, v, Access::default());
                }
            });
            let apart = e.asm.op(Op::LogicalNot, Type::Bool, &[at_once]);
            e.when(apart, |e| {
                e.count_up(piece, |e, byte| e.copy_byte(tensor, &row, here, byte, load));
            });
            Ok(())
        })
    }

    /// Copies one byte of a piece, if it is inside of the tensor.
    fn copy_byte(&mut self, tensor: &Tensor, row: &Row, here: Address, byte: Id, load: bool) {
        let element = self.n(Op::UDiv, byte, tensor.size);
        let index = self.n(Op::IAdd, row.first, element);
        let inside = self.test(Op::ULessThan, index, tensor.dimensions[0]);
        let inside = self.test(Op::LogicalAnd, inside, row.others_inside);
        let wide = self.asm.op(Op::UConvert, Type::U64, &[byte]);
        let there = self.w(Op::IAdd, row.address, wide);
        let here = Address {
            space: Space::Shared,
            id: self.n(Op::IAdd, here.id, byte),
        };
        if !load {
            self.when(inside, |e| {
                let v = e.load(here, Type::U8, Access::default());
                e.store_device(there, Type::U8, v, Access::default());
            });
            return;
        }
        let v = self.choose(
            inside,
            Type::U8,
            |e| {
                e.choose(
                    tensor.is_tensor_float,
                    Type::U8,
                    |e| {
                        let mask = e.asm.constant(Type::U64, !3);
                        let start = e.w(Op::BitwiseAnd, there, mask);
                        let word = e.load_device(start, Type::U32, Access::default());
                        let word = e.nearest_tf32(word, false);
                        let (three, eight) = (e.asm.u32(3), e.asm.u32(8));
                        let place = e.n(Op::BitwiseAnd, byte, three);
                        let place = e.n(Op::IMul, place, eight);
                        let v = e.n(Op::ShiftRightLogical, word, place);
                        e.asm.op(Op::UConvert, Type::U8, &[v])
                    },
                    |e| e.load_device(there, Type::U8, Access::default()),
                )
            },
            |e| {
                let (one, zero) = (e.asm.u32(1), e.asm.u32(0));
                let odd = e.n(Op::BitwiseAnd, byte, one);
                let odd = e.test(Op::INotEqual, odd, zero);
                let [even_byte, odd_byte] = NOT_A_NUMBER.map(|n| e.asm.u32(n.into()));
                let nan = e.pick(Type::U32, odd, odd_byte, even_byte);
                let fill = e.pick(Type::U32, tensor.fills_nan, nan, zero);
                e.asm.op(Op::UConvert, Type::U8, &[fill])
            },
        );
        self.store(here, Type::U8, v, Access::default());
    }

    /// cp.reduce.async.bulk.tensor: the map says what elements are. Types that an operation has not are a fault.
    fn reduce_tensor(&mut self, i: &Instruction, tensor: &Tensor) -> Result<()> {
        use ElementType as E;
        use Modifier as M;
        let types: &[(E, ScalarType)] = if i.has(M::And) || i.has(M::Or) || i.has(M::Xor) {
            &[
                (E::Unsigned32, M::B32),
                (E::Signed32, M::B32),
                (E::Unsigned64, M::B64),
                (E::Signed64, M::B64),
            ]
        } else if i.has(M::IncMod) || i.has(M::DecMod) {
            &[(E::Unsigned32, M::U32)]
        } else if i.has(M::MinMod) || i.has(M::MaxMod) {
            &[
                (E::Unsigned32, M::U32),
                (E::Signed32, M::S32),
                (E::Unsigned64, M::U64),
                (E::Signed64, M::S64),
                (E::Float16, M::F16),
                (E::BFloat16, M::Bf16),
            ]
        } else {
            &[
                (E::Unsigned32, M::U32),
                (E::Signed32, M::S32),
                (E::Unsigned64, M::U64),
                (E::Signed64, M::U64),
                (E::Float16, M::F16),
                (E::BFloat16, M::Bf16),
                (E::Float32, M::F32),
                (E::Float64, M::F64),
                (E::Float32Ftz, M::F32),
            ]
        };
        let at = self.offset(tensor.map, Type::U64, i64::from(offset::FORMAT) + 4);
        let found = self.load_device(at, Type::U32, READ_ONLY);
        let bytes = self.box_bytes(tensor);
        let mut known = self.asm.constant(Type::Bool, 0);
        for &(element, ty) in types {
            let number = self.asm.u32(element as u32);
            let is = self.test(Op::IEqual, found, number);
            known = self.test(Op::LogicalOr, known, is);
            let word = Type::unsigned(element.bytes());
            let mut result = Ok(());
            self.when(is, |e| {
                result = e.for_each_part(bytes, element.bytes(), |e, at| {
                    let number = e.n(Op::UDiv, at, tensor.size);
                    let row = e.tensor_row(tensor, number);
                    let here = e.in_box(tensor, at);
                    let inside = e.test(Op::ULessThan, row.first, tensor.dimensions[0]);
                    let inside = e.test(Op::LogicalAnd, inside, row.others_inside);
                    let mut reduced = Ok(());
                    e.when(inside, |e| {
                        let v = e.load(here, word, Access::default());
                        let target = Address {
                            space: Space::Global,
                            id: row.address,
                        };
                        reduced = e.atomic_in(i, target, ty, word, v, None).map(|_| ());
                    });
                    reduced
                });
            });
            result?;
        }
        let unknown = self.asm.op(Op::LogicalNot, Type::Bool, &[known]);
        self.when(unknown, |e| e.fault(super::call::ILLEGAL_ADDRESS));
        Ok(())
    }
}
