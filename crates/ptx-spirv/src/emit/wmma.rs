//! wmma.load, wmma.mma and wmma.store (PTX ISA, "Warp Level Matrix Load/Store/Multiply-Accumulate Instructions").
//!
//! PTX leaves it open which lane holds which element. Here a fragment is a row of tiles that lie as the fragments of
//! mma.sync do (`matrix.rs`), so that the products are the same code:
//!
//! ```text
//! A            tiles of 16 rows (of 8 in the m8 shapes), one after the other
//! B            tiles of 8 columns
//! accumulator  a tile for each pair of those; element i at the same place whatever the type
//! m8n32k16     all transposed: B makes the tiles of 16, A is the tile of 8
//! ```
//!
//! Registers beyond the elements (half precision always has eight) repeat the first ones.

use super::cooperative::Form;
use super::matrix::{BSource, Fragments};
use super::memory::{Access, Address, Space};
use super::product::Element;
use super::*;

/// The extents of a product, and how its fragments are cut into tiles.
#[derive(Clone, Copy)]
struct Shape {
    m: u32,
    n: u32,
    k: u32,
}

/// Which matrix an instruction moves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    A,
    B,
    Accumulator,
}

impl Shape {
    fn of(i: &Instruction) -> Option<Shape> {
        use Modifier as M;
        let (m, n, k) = i.modifiers.iter().find_map(|m| {
            Some(match m {
                M::M16n16k16 => (16, 16, 16),
                M::M32n8k16 => (32, 8, 16),
                M::M8n32k16 => (8, 32, 16),
                M::M16n16k8 => (16, 16, 8),
                M::M8n8k4 => (8, 8, 4),
                M::M8n8k32 => (8, 8, 32),
                M::M8n8k128 => (8, 8, 128),
                _ => return None,
            })
        })?;
        Some(Shape { m, n, k })
    }

    /// Whether the roles of A and B are exchanged.
    fn transposed(self) -> bool {
        self.n == 32
    }

    /// Rows of the operand with tiles of 16 rows.
    fn rows(self) -> u32 {
        if self.transposed() {
            self.n
        } else {
            self.m
        }
    }

    /// Columns of the operand with tiles of 8 columns.
    fn columns(self) -> u32 {
        if self.transposed() {
            self.m
        } else {
            self.n
        }
    }

    /// Halves of eight rows in a tile.
    fn halves(self) -> u32 {
        self.rows().min(16) / 8
    }
}

/// Elements of a type in a 32-bit register; 1 for doubles.
fn per_register(ty: ScalarType) -> u32 {
    match ty {
        Modifier::B1 => 32,
        Modifier::S4 | Modifier::U4 => 8,
        t => (4 / t.size().unwrap_or(4)).max(1),
    }
}

/// The form of the products of tiles.
fn tile_form(element: Element) -> Option<Form> {
    use Modifier as M;
    let sum = if element.is_integer() { M::S32 } else { M::F32 };
    matrix::form(element, Some(M::M16n8k16), sum, sum)
}

/// The form of the products that make one of wmma.mma, where it is cut into such tiles.
pub(super) fn form_of(i: &Instruction) -> Option<Form> {
    let shape = Shape::of(i)?;
    let types: Vec<ScalarType> = i.types().collect();
    let (a, b) = match types[..] {
        [_, a, b, _] => (a, b),
        [_, _] => (Modifier::F16, Modifier::F16),
        _ => return None,
    };
    let tiles = shape.k == 16 && shape.halves() == 2 && !i.has(Modifier::Satfinite);
    tile_form(Element::of(i, a, b)?).filter(|_| tiles)
}

impl Emitter<'_> {
    pub(super) fn wmma(&mut self, i: &Instruction) -> Result<()> {
        let Some(shape) = Shape::of(i) else {
            return unsupported(i);
        };
        if i.has(Modifier::Load) {
            self.wmma_move(i, shape, true)
        } else if i.has(Modifier::Store) {
            self.wmma_move(i, shape, false)
        } else {
            self.wmma_product(i, shape)
        }
    }

    /// wmma.load and wmma.store: each lane moves the elements it holds.
    fn wmma_move(&mut self, i: &Instruction, shape: Shape, load: bool) -> Result<()> {
        use Modifier as M;
        let role = if i.has(M::A) {
            Role::A
        } else if i.has(M::B) {
            Role::B
        } else {
            Role::Accumulator
        };
        let row_major = i.has(M::Row);
        let ty = i
            .types()
            .next_back()
            .ok_or_else(|| EmitError::Invalid(format!("{} without a type", i.mnemonic())))?;
        let (registers, address) = if load { (0, 1) } else { (1, 0) };
        let base = self.address(self.operand(i, address)?, memory::space_of(i))?;
        // A generic address may be known to be of one space.
        let space = base.space;
        let wide = if matches!(space, Space::Shared | Space::Local) {
            Type::U32
        } else {
            Type::U64
        };
        let (rows, columns) = match role {
            Role::A => (shape.m, shape.k),
            Role::B => (shape.k, shape.n),
            Role::Accumulator => (shape.m, shape.n),
        };
        let stride = match i.operands.get(2) {
            Some(o) => {
                let id = self.value(o, Type::U32)?;
                self.cast(Value { id, ty: Type::U32 }, wide)
            }
            // Without one, the matrix has no gaps.
            None => {
                let leading = if row_major { columns } else { rows };
                self.asm.constant(wide, leading.into())
            }
        };
        let parts = Self::elements(self.operand(i, registers)?).to_vec();
        let (g, t) = self.quad();
        let [g, t] = [g, t].map(|id| self.cast(Value { id, ty: Type::U32 }, wide));
        // Along `outer` (g) elements are a stride apart, along `inner` (t) they are neighbours, or the other way round.
        let per = per_register(ty);
        let spread = if role == Role::Accumulator { 2 } else { per };
        let contiguous = match role {
            Role::A => row_major,
            Role::B => !row_major,
            Role::Accumulator => row_major != shape.transposed(),
        };
        let spread_id = self.asm.constant(wide, spread.into());
        let inner = self.asm.op(Op::IMul, wide, &[t, spread_id]);
        let (strided, plain) = if contiguous { (g, inner) } else { (inner, g) };
        let first = self.asm.op(Op::IMul, wide, &[strided, stride]);
        let first = self.asm.op(Op::IAdd, wide, &[first, plain]);
        let bits = match ty {
            M::B1 => 1,
            M::S4 | M::U4 => 4,
            t => t.size().unwrap_or(4) * 8,
        };
        if bits < 8 && !contiguous {
            return unsupported(i);
        }
        let scale = |e: &mut Self, elements: Id| {
            let amount = e.asm.u32(if bits < 8 {
                (8 / bits).ilog2()
            } else {
                (bits / 8).ilog2()
            });
            let op = if bits < 8 {
                Op::ShiftRightLogical
            } else {
                Op::ShiftLeftLogical
            };
            e.asm.op(op, wide, &[elements, amount])
        };
        // The address of the element that is `outer` along g and `inner` along t from the lane's first one.
        let at = |e: &mut Self, outer: u32, inner: u32| {
            let (strided, plain) = if contiguous {
                (outer, inner)
            } else {
                (inner, outer)
            };
            let steps = e.asm.constant(wide, strided.into());
            let offset = e.asm.op(Op::IMul, wide, &[steps, stride]);
            let offset = e.asm.op(Op::IAdd, wide, &[first, offset]);
            let offset = e.offset(offset, wide, plain.into());
            let offset = scale(e, offset);
            Address {
                space,
                id: e.asm.op(Op::IAdd, wide, &[base.id, offset]),
            }
        };
        let halves = shape.halves();
        if role == Role::Accumulator {
            let count = (shape.m * shape.n / 32) as usize;
            let packed = ty == M::F16;
            if parts.len() != if packed { count / 2 } else { count } {
                return Err(EmitError::Invalid(format!(
                    "{} with {} registers",
                    i.mnemonic(),
                    parts.len()
                )));
            }
            for pair in 0..count / 2 {
                let (tile, h) = (pair as u32 / halves, pair as u32 % halves);
                // Tiles follow each other down the rows of 16, else along the columns of 8.
                let (outer, inner) = if shape.rows() > 16 {
                    (8 * h + 16 * tile, 0)
                } else {
                    (8 * h, 8 * tile)
                };
                let addresses = [at(self, outer, inner), at(self, outer, inner + 1)];
                if packed {
                    self.wmma_half_pair(&parts[pair], addresses, contiguous, load)?;
                    continue;
                }
                let element = memory_type(ty);
                for (c, &address) in addresses.iter().enumerate() {
                    let part = &parts[2 * pair + c];
                    if load {
                        let v = self.load(address, element, Access::default());
                        self.set(part, element, v)?;
                    } else {
                        let v = self.value(part, element)?;
                        self.store(address, element, v, Access::default());
                    }
                }
            }
            return Ok(());
        }
        if !load {
            return unsupported(i);
        }
        let groups = shape.k / (4 * per);
        if groups == 0 {
            return unsupported(i);
        }
        let by_rows = (role == Role::A) != shape.transposed();
        let unique = rows * columns / 32 / per;
        let mut values: Vec<Value> = Vec::new();
        for register in 0..unique {
            let (outer, q) = if by_rows {
                let (tile, w) = (register / (halves * groups), register % (halves * groups));
                (16 * tile + 8 * (w % halves), w / halves)
            } else {
                (8 * (register / groups), register % groups)
            };
            let inner = 4 * per * q;
            if per == 1 || contiguous {
                let whole = if ty == M::F64 { Type::F64 } else { Type::U32 };
                let address = at(self, outer, inner);
                let id = self.load(address, whole, Access::default());
                values.push(Value { id, ty: whole });
                continue;
            }
            let part = Type::unsigned(bits / 8);
            let mut word = self.asm.u32(0);
            for j in 0..per {
                let address = at(self, outer, inner + j);
                let v = self.load(address, part, Access::default());
                let v = self.asm.op(Op::UConvert, Type::U32, &[v]);
                let shift = self.asm.u32(bits * j);
                let v = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[v, shift]);
                word = self.asm.op(Op::BitwiseOr, Type::U32, &[word, v]);
            }
            values.push(Value {
                id: word,
                ty: Type::U32,
            });
        }
        for (n, part) in parts.iter().enumerate() {
            let v = values[n % values.len()];
            self.set(part, v.ty, v.id)?;
        }
        Ok(())
    }

    /// Two elements of a half-precision accumulator, which share a register.
    fn wmma_half_pair(
        &mut self,
        part: &Operand,
        addresses: [Address; 2],
        contiguous: bool,
        load: bool,
    ) -> Result<()> {
        if load {
            let word = if contiguous {
                self.load(addresses[0], Type::U32, Access::default())
            } else {
                let [low, high] = addresses.map(|a| self.load(a, Type::U16, Access::default()));
                self.pack16(low, high)
            };
            return self.set(part, Type::U32, word);
        }
        let word = self.value(part, Type::U32)?;
        if contiguous {
            self.store(addresses[0], Type::U32, word, Access::default());
            return Ok(());
        }
        let sixteen = self.asm.u32(16);
        let high = self
            .asm
            .op(Op::ShiftRightLogical, Type::U32, &[word, sixteen]);
        for (address, half) in addresses.into_iter().zip([word, high]) {
            let half = self.asm.op(Op::UConvert, Type::U16, &[half]);
            self.store(address, Type::U16, half, Access::default());
        }
        Ok(())
    }

    fn wmma_product(&mut self, i: &Instruction, shape: Shape) -> Result<()> {
        use Modifier as M;
        let types: Vec<ScalarType> = i.types().collect();
        let (dt, at, bt, ct) = match types[..] {
            [d, a, b, c] => (d, a, b, c),
            [d, c] => (d, M::F16, M::F16, c),
            _ => return unsupported(i),
        };
        let Some(element) = Element::of(i, at, bt) else {
            return unsupported(i);
        };
        let operands: Vec<Vec<Operand>> = i
            .operands
            .iter()
            .map(|o| Self::elements(o).to_vec())
            .collect();
        let [d, a, b, c] = &operands[..] else {
            return Err(EmitError::Invalid(format!(
                "{} needs four operands",
                i.mnemonic()
            )));
        };
        let per = per_register(at);
        let (halves, groups) = (shape.halves(), shape.k / (4 * per));
        let row_tiles = shape.rows().div_ceil(16);
        let column_tiles = shape.columns() / 8;
        let (by_rows, by_columns) = if shape.transposed() { (b, a) } else { (a, b) };
        let row_words = (row_tiles * halves * groups) as usize;
        let column_words = (column_tiles * groups) as usize;
        let results = (shape.m * shape.n / 32) as usize;
        let packed = |ty| ty == M::F16;
        let registers = |ty| if packed(ty) { results / 2 } else { results };
        if by_rows.len() < row_words
            || by_columns.len() < column_words
            || d.len() != registers(dt)
            || c.len() != registers(ct)
        {
            return Err(EmitError::Invalid(format!(
                "{} with the wrong number of registers",
                i.mnemonic()
            )));
        }
        // Where all is transposed, so are the signs of the operands.
        let element = if shape.transposed() {
            element.exchanged()
        } else {
            element
        };
        let ty = element.sum_type();
        let mut sums = Vec::new();
        for o in c {
            if packed(ct) {
                let w = self.value(o, Type::U32)?;
                sums.extend(self.elements_of(Element::Half, w));
            } else {
                sums.push(self.value(o, ty)?);
            }
        }
        let saturated = i.has(M::Satfinite) && element.is_integer();
        let addends = sums.clone();
        if saturated {
            let zero = self.asm.u32(0);
            sums.fill(zero);
        }
        let word = element.register_type();
        let row_ids = by_rows[..row_words]
            .iter()
            .map(|o| self.value(o, word))
            .collect::<Result<Vec<_>>>()?;
        let column_ids = by_columns[..column_words]
            .iter()
            .map(|o| self.value(o, word))
            .collect::<Result<Vec<_>>>()?;
        let device = if shape.k == 16 && shape.halves() == 2 && !saturated {
            tile_form(element).and_then(|form| self.way(form))
        } else {
            None
        };
        let (quad, eight_t) = self.sources();
        let published = if self.yields() {
            let words = self.words_of(&column_ids, element);
            Some(self.publish_to_slot(&words))
        } else {
            None
        };
        for tile in 0..(row_tiles * column_tiles) as usize {
            let (row, column) = if row_tiles > 1 { (tile, 0) } else { (0, tile) };
            let (halves, groups) = (halves as usize, groups as usize);
            if let Some(way) = device {
                let a = &row_ids[row * halves * groups..(row + 1) * halves * groups];
                let b = &column_ids[column * groups..(column + 1) * groups];
                let sums = &mut sums[tile * 2 * halves..(tile + 1) * 2 * halves];
                let words = self.unit_product(way, a, b, sums);
                sums.copy_from_slice(&words);
                continue;
            }
            let fragments = Fragments {
                element,
                halves,
                groups,
                a: row_ids[row * halves * groups..(row + 1) * halves * groups].to_vec(),
                b: match published {
                    Some(base) => {
                        let first = (column * groups * element.words()) as u32;
                        BSource::Shares(self.shares(element, base, first, groups))
                    }
                    None => BSource::Registers(
                        column_ids[column * groups..(column + 1) * groups].to_vec(),
                    ),
                },
                quad,
                eight_t,
            };
            let sums = &mut sums[tile * 2 * halves..(tile + 1) * 2 * halves];
            self.product(&fragments, sums);
            // The next one begins after this: an operand that both have is fetched for each.
            self.product_after_the_last();
        }
        if saturated {
            for (s, &c) in sums.iter_mut().zip(&addends) {
                *s = self.add_saturated(*s, c);
            }
        }
        if packed(dt) {
            for (pair, d) in sums.chunks(2).zip(d) {
                let w = self.pack_singles(pair[0], pair[1]);
                self.set(d, Type::U32, w)?;
            }
            return Ok(());
        }
        for (&s, d) in sums.iter().zip(d) {
            self.set(d, ty, s)?;
        }
        Ok(())
    }
}
