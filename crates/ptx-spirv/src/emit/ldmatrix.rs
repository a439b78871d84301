//! ldmatrix and stmatrix (PTX ISA, "Warp-level matrix load instruction", "Warp-level matrix store instruction").

use super::memory::{Access, Address};
use super::*;

/// A matrix of 8x8 elements of 16 bits that ldmatrix loaded, in registers of each subgroup.
#[derive(Clone)]
pub(super) struct Rows {
    /// Of an invocation: the words of row `invocation`, or, where transposed, one word of each of four rows
    /// ([`Emitter::own_word_of_row`]). Twice in subgroups of four invocations.
    words: Vec<[Id; 4]>,
    /// `.trans`
    pub(super) transposed: bool,
}

impl Emitter<'_> {
    /// Row addresses of 8x8 matrices, which the lanes hold eight to a matrix: the base registers of the lanes `lanes`.
    /// The same base is fetched once in a block.
    fn row_bases(&mut self, base: Id, key: &[u32], lanes: &[Id]) -> Vec<Id> {
        let keys: Vec<(Id, Id)> = key.iter().map(|&k| (base, k)).collect();
        if let Some(found) = keys
            .iter()
            .map(|k| self.matrix.gathered.get(k).copied())
            .collect::<Option<Vec<Id>>>()
        {
            return found;
        }
        let found = self.gather(base, lanes);
        for (k, &v) in keys.iter().zip(&found) {
            self.matrix.gathered.insert(*k, v);
        }
        found
    }

    /// Row addresses as [`Emitter::row_bases`] gives them, computed as the lanes that have them would, and a constant to add
    /// to each; none where they depend on more than the lane's place.
    fn computed_rows(
        &mut self,
        i: &Instruction,
        address: usize,
        keys: &[u32],
        lanes: &[Id],
    ) -> Result<Option<Vec<(Id, u32)>>> {
        let Operand::Address {
            base: ptx::AddressBase::Register(r),
            ..
        } = self.operand(i, address)?
        else {
            return Ok(None);
        };
        if self.yields() || self.info.shared_in_scratch {
            return Ok(None);
        }
        let register = self.virtual_register(*r);
        let rows = keys.iter().zip(lanes);
        Ok(rows
            .map(|(&key, &lane)| self.in_lane((key, lane), register))
            .collect())
    }

    /// The offset in shared memory of an address that cannot be elsewhere, also where it is written as a generic one.
    fn shared_offset(&mut self, i: &Instruction, address: &Operand) -> Result<Id> {
        use memory::Space;
        if memory::space_of(i) != Space::Generic {
            return Ok(self.address(address, Space::Shared)?.id);
        }
        let address = self.address(address, Space::Generic)?;
        if address.space == Space::Shared {
            return Ok(address.id);
        }
        let window = self.window(Space::Shared);
        let offset = self.asm.op(Op::ISub, Type::U64, &[address.id, window]);
        Ok(self.asm.op(Op::UConvert, Type::U32, &[offset]))
    }

    pub(super) fn move_matrix(&mut self, i: &Instruction) -> Result<()> {
        use Modifier as M;
        if !i.has(M::M8n8) || !i.has(M::B16) {
            return unsupported(i);
        }
        let count = if i.has(M::X4) {
            4
        } else if i.has(M::X2) {
            2
        } else {
            1
        };
        let load = i.opcode == Opcode::Ldmatrix;
        let (registers, address) = if load { (0, 1) } else { (1, 0) };
        let registers = self.operand(i, registers)?;
        let parts = Self::elements(registers);
        if parts.len() != count {
            return Err(EmitError::Invalid(format!(
                "{} with {} registers",
                i.mnemonic(),
                parts.len()
            )));
        }
        // The base register is exchanged, the constant offset added afterwards.
        let (base, offset) = match self.operand(i, address)? {
            Operand::Address { base, offset } => {
                let without = Operand::Address {
                    base: *base,
                    offset: 0,
                };
                (move |e: &mut Self| e.shared_offset(i, &without), *offset)
            }
            _ => {
                return Err(EmitError::Invalid(format!(
                    "{} without an address",
                    i.mnemonic()
                )))
            }
        };
        let transposed = i.has(M::Trans);
        if load && self.yields() {
            let base = base(self)?;
            let row = self.offset(base, Type::U32, offset);
            let row = self.shared_in_window(row);
            return self.load_rows(parts, row, transposed);
        }
        let numbered = self.numbered_rows(i, address, count as u32)?;
        if let (true, Some(rows)) = (load, &numbered) {
            if let Some(words) = self.load_tile(rows, transposed) {
                for (part, word) in parts.iter().zip(words) {
                    self.set(part, Type::U32, word)?;
                }
                return Ok(());
            }
        }
        if load && self.is_planned() {
            let base = base(self)?;
            let row = self.offset(base, Type::U32, offset);
            self.keep_rows(parts, row, numbered.as_ref());
            return Ok(());
        }
        // Rows are read as they are, and the matrices transposed afterwards.
        let exchanged = load && transposed && self.target.matrix_units.transposes;
        let transposed = transposed && !exchanged;
        let (g, t) = self.quad();
        let (one, two) = (self.asm.u32(1), self.asm.u32(2));
        let within = if transposed { (g, one) } else { (t, two) };
        let within = self.fold(Op::ShiftLeftLogical, within.0, within.1);
        // The rows this lane needs: one of each matrix, or two where transposed.
        let needed: Vec<(usize, Id, u32)> = (0..count)
            .flat_map(|m| match transposed {
                true => vec![(m, t, 0), (m, t, 1)],
                false => vec![(m, g, 0)],
            })
            .collect();
        let mut at = None;
        if let Some(rows) = &numbered {
            at = needed
                .iter()
                .map(|&(m, row, beside)| {
                    let row = match transposed {
                        true => self.fold(Op::ShiftLeftLogical, row, one),
                        false => row,
                    };
                    self.numbered_row(rows, m, (row, beside), within)
                })
                .collect::<Option<Vec<Id>>>();
        }
        let at = match at {
            Some(at) => at,
            None => {
                let mut lanes = Vec::new();
                let mut keys = Vec::new();
                for &(m, row, beside) in &needed {
                    let mut lane = row;
                    if transposed {
                        lane = self.fold(Op::ShiftLeftLogical, lane, one);
                    }
                    let (first, key) = (8 * m as u32 + beside, m as u32);
                    lanes.push(self.offset(lane, Type::U32, i64::from(first)));
                    keys.push(match transposed {
                        true => 100 + 2 * key + beside,
                        false => key,
                    });
                }
                let rows = match self.computed_rows(i, address, &keys, &lanes)? {
                    Some(rows) => rows,
                    None => {
                        let base = base(self)?;
                        let rows = self.row_bases(base, &keys, &lanes);
                        rows.into_iter().map(|row| (row, 0)).collect()
                    }
                };
                rows.into_iter()
                    .map(|(row, constant)| {
                        let id = self.fold(Op::IAdd, row, within);
                        let constant = i64::from(constant);
                        self.offset(id, Type::U32, offset.wrapping_add(constant))
                    })
                    .collect()
            }
        };
        let space = memory::Space::Shared;
        let at: Vec<Address> = at.into_iter().map(|id| Address { space, id }).collect();
        if exchanged {
            let words: Vec<Id> = at
                .into_iter()
                .map(|at| self.load(at, Type::U32, Access::default()))
                .collect();
            let words = self.transposed(&words);
            for (part, word) in parts.iter().zip(words) {
                self.set(part, Type::U32, word)?;
            }
            return Ok(());
        }
        for (m, part) in parts.iter().enumerate() {
            match (load, transposed) {
                (true, false) => {
                    let v = self.load(at[m], Type::U32, Access::default());
                    self.set(part, Type::U32, v)?;
                }
                (true, true) => {
                    let low = self.load(at[2 * m], Type::U16, Access::default());
                    let high = self.load(at[2 * m + 1], Type::U16, Access::default());
                    let v = self.pack16(low, high);
                    self.set(part, Type::U32, v)?;
                }
                (false, false) => {
                    let v = self.value(part, Type::U32)?;
                    self.store(at[m], Type::U32, v, Access::default());
                }
                (false, true) => {
                    let v = self.value(part, Type::U32)?;
                    let sixteen = self.asm.u32(16);
                    let low = self.asm.op(Op::UConvert, Type::U16, &[v]);
                    let high = self.asm.op(Op::ShiftRightLogical, Type::U32, &[v, sixteen]);
                    let high = self.asm.op(Op::UConvert, Type::U16, &[high]);
                    self.store(at[2 * m], Type::U16, low, Access::default());
                    self.store(at[2 * m + 1], Type::U16, high, Access::default());
                }
            }
        }
        Ok(())
    }

    /// ldmatrix where warps yield: each lane reads the row whose address it has, and publishes it; a transposed one after
    /// an exchange of words in its quad, so that word j of lane 8m + 4u + t is word t of row 4u + j of matrix m. Products
    /// with B of these registers read whole matrices, each invocation of a subgroup a row or its share of the columns.
    fn load_rows(&mut self, parts: &[Operand], row: Id, transposed: bool) -> Result<()> {
        let count = parts.len() as u32;
        let (slot, linear, lane) = (self.next_slot(), self.entry.linear, self.entry.lane);
        let mine = self.slot(slot, linear);
        let quad = Type::Vector(Scalar::U32, 4);
        let row = if count == 4 {
            row
        } else {
            // The other lanes' addresses mean nothing.
            let rows = self.asm.u32(8 * count);
            let has = self.asm.op(Op::ULessThan, Type::Bool, &[lane, rows]);
            let zero = self.asm.u32(0);
            self.asm.op(Op::Select, Type::U32, &[has, row, zero])
        };
        let mut v = self.load_slot(row, quad);
        if transposed {
            let words = self.words_of_quad(v);
            let words = self.transpose_in_quads(words);
            v = self.asm.op(Op::CompositeConstruct, quad, &words);
        }
        self.store_device(mine, quad, v, Access::default());
        self.meet();
        let start = self.asm.op(Op::ISub, Type::U32, &[linear, lane]);
        let base = self.slot_in_window(slot, start);
        let (g, t) = self.quad();
        for (m, part) in parts.iter().enumerate() {
            let first = 8 * m as i64;
            if let Operand::Register(r) = part {
                let r = self.virtual_register(*r);
                let others = self.in_other_rounds(r);
                let plan = self.matrix.plan(self.graph, r, &others);
                if plan.rows {
                    let rows = self.matrix_rows(base, m as u32, transposed);
                    self.matrix.keep_rows(r, rows);
                }
                if !plan.words {
                    continue;
                }
            }
            let v = if transposed {
                // Word g / 2 of rows 2t and 2t + 1, of which the lane wants half g % 2.
                let (one, two) = (self.asm.u32(1), self.asm.u32(2));
                let upper = self.asm.op(Op::BitwiseAnd, Type::U32, &[t, two]);
                let upper = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[upper, one]);
                let column = self.asm.op(Op::ShiftRightLogical, Type::U32, &[g, one]);
                let lane = self.asm.op(Op::IAdd, Type::U32, &[upper, column]);
                let lane = self.offset(lane, Type::U32, first);
                let word = self.asm.op(Op::BitwiseAnd, Type::U32, &[t, one]);
                let word = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[word, one]);
                let pair = self.read_slot_at(base, lane, word, Type::Vector(Scalar::U32, 2));
                let half = self.asm.op(Op::BitwiseAnd, Type::U32, &[g, one]);
                let four = self.asm.u32(4);
                let shift = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[half, four]);
                let halves = [0, 1].map(|n| {
                    let w = self.asm.op(Op::CompositeExtract, Type::U32, &[pair, n]);
                    let w = self.asm.op(Op::ShiftRightLogical, Type::U32, &[w, shift]);
                    self.asm.op(Op::UConvert, Type::U16, &[w])
                });
                self.pack16(halves[0], halves[1])
            } else {
                let lane = self.offset(g, Type::U32, first);
                self.read_slot_at(base, lane, t, Type::U32)
            };
            self.set(part, Type::U32, v)?;
        }
        Ok(())
    }

    fn words_of_quad(&mut self, v: Id) -> [Id; 4] {
        [0, 1, 2, 3].map(|n| self.asm.op(Op::CompositeExtract, Type::U32, &[v, n]))
    }

    /// Exchanges four words of each lane so that word j of lane t of a quad becomes word t of its lane j.
    fn transpose_in_quads(&mut self, mut words: [Id; 4]) -> [Id; 4] {
        let (own, zero) = (self.entry.invocation, self.asm.u32(0));
        for bit in [1u32, 2] {
            let mask = self.asm.u32(bit);
            let other = self.asm.op(Op::BitwiseXor, Type::U32, &[own, mask]);
            let upper = self.asm.op(Op::BitwiseAnd, Type::U32, &[own, mask]);
            let upper = self.asm.op(Op::INotEqual, Type::Bool, &[upper, zero]);
            for low in (0..4).filter(|n| n & bit == 0) {
                let high = (low | bit) as usize;
                let (a, b) = (words[low as usize], words[high]);
                let give = self.asm.op(Op::Select, Type::U32, &[upper, a, b]);
                let got = self.native_shuffle(give, other);
                words[low as usize] = self.asm.op(Op::Select, Type::U32, &[upper, got, a]);
                words[high] = self.asm.op(Op::Select, Type::U32, &[upper, b, got]);
            }
        }
        words
    }

    /// Reads what the lanes published of matrix `m`: the subgroup's invocations share it.
    fn matrix_rows(&mut self, base: Id, m: u32, transposed: bool) -> Rows {
        let width = self.subgroup_width();
        let mask = self.asm.u32(width.min(8) - 1);
        let own = self.entry.invocation;
        let own = self.asm.op(Op::BitwiseAnd, Type::U32, &[own, mask]);
        let words = (0..8 / width.min(8))
            .map(|n| {
                let lane = self.offset(own, Type::U32, i64::from(8 * m + width * n));
                let v = self.read_slot(base, lane, 0, Type::Vector(Scalar::U32, 4));
                self.words_of_quad(v)
            })
            .collect();
        Rows { words, transposed }
    }

    /// Word `word` of row `row` of a matrix that is not transposed; `row` is known to the driver's compiler.
    pub(super) fn word_of_row(&mut self, rows: &Rows, row: Id, word: u32) -> Id {
        let parts: Vec<Id> = rows.words.iter().map(|w| w[word as usize]).collect();
        let [low, rest @ ..] = &parts[..] else {
            unreachable!("a matrix has rows")
        };
        let [high] = rest else {
            return self.native_shuffle(*low, row);
        };
        // Subgroups of four invocations, which have rows 0 to 3 and 4 to 7.
        let (three, four, zero) = (self.asm.u32(3), self.asm.u32(4), self.asm.u32(0));
        let within = self.asm.op(Op::BitwiseAnd, Type::U32, &[row, three]);
        let low = self.native_shuffle(*low, within);
        let high = self.native_shuffle(*high, within);
        let upper = self.asm.op(Op::BitwiseAnd, Type::U32, &[row, four]);
        let upper = self.asm.op(Op::INotEqual, Type::Bool, &[upper, zero]);
        self.asm.op(Op::Select, Type::U32, &[upper, high, low])
    }

    /// Word t of row `row` of a transposed matrix: elements of columns 2t and 2t + 1.
    pub(super) fn own_word_of_row(&mut self, rows: &Rows, row: u32) -> Id {
        let (upper, within) = (row / 4, (row % 4) as usize);
        if rows.words.len() == 2 {
            return rows.words[upper as usize][within];
        }
        let (_, t) = self.quad();
        let from = self.offset(t, Type::U32, i64::from(4 * upper));
        self.native_shuffle(rows.words[0][within], from)
    }
}
