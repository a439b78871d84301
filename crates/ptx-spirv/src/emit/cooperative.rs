//! mma.sync on cooperative matrices that are made of the lanes' registers (SPV_KHR_cooperative_matrix).
//!
//! On some devices the elements that a lane holds of a cooperative matrix are those that PTX gives it, in another order
//! at most ([`crate::MatrixUnits`] says for which shapes a test has shown it). Then registers go straight in and out:
//!
//! ```text
//! A  words a0, a2, a1, a3 of PTX, one after the other (m16n8k8: a0, a1)
//! B, C, D  as PTX has them; of 16 columns the first eight are words 0 and 1 of B, elements 0, 1, 4 and 5 of C and D
//! ```
//!
//! A product with fewer k or columns than the device's shape has zeros in the rest (compilers leave such columns out). Sums that go from one product into the next stay
//! matrices within a block.
//!
//! Where the device has bytes of 32 k and PTX has 16, only B gets zeros: A is shared by two products that follow one another, of which one
//! takes the lower k and the other the upper ([`Shared`]):
//!
//! ```text
//! mma.m16n8k16 {c}, {a0, a1}, {b}    A = a0, p0, a1, p1    B = b, 0
//! mma.m16n8k16 {d}, {p0, p1}, {q}    the same A            B = 0, q
//! ```

use super::*;
use crate::assembler::{Component, Matrix, Role};
use crate::MatrixUnits;

/// A product as the device does it.
#[derive(Clone, Copy)]
pub(super) struct Product {
    a: Matrix,
    b: Matrix,
    sum: Matrix,
    /// For each word of the device's A, the word of PTX's A; none for zeros.
    order: &'static [Option<usize>],
    /// Words of the device's B; those that PTX does not have are zeros.
    b_words: usize,
}

/// Whose words of A lie beside those of a product.
#[derive(Clone, Copy)]
pub(super) struct Shared {
    words: [Id; 2],
    /// Whether the product's own ones are the upper k.
    upper: bool,
}

/// How many instructions further on another product is looked for.
const NEAR: usize = 64;

/// What of a product decides how it is done.
#[derive(Clone, Copy)]
pub(super) struct Form {
    /// Elements of A and B.
    pub(super) component: Component,
    /// Elements of C and D.
    pub(super) sum: Component,
    /// The shape as PTX writes it.
    pub(super) shape: Modifier,
}

impl Product {
    /// The device's way for a form, if it has one.
    pub(super) fn of(form: Form, units: &MatrixUnits) -> Option<Self> {
        use Modifier as M;
        const ALL: &[Option<usize>] = &[Some(0), Some(2), Some(1), Some(3)];
        const LOW: &[Option<usize>] = &[Some(0), None, Some(1), None];
        const TWO: &[Option<usize>] = &[Some(0), Some(1)];
        let (depth, order, b_words) = match (form.component, form.shape) {
            (Component::F16, M::M16n8k16) if units.half_k16 => (16, ALL, 2),
            (Component::F16, M::M16n8k8) if units.half_k8 => (8, TWO, 1),
            (Component::Bf16, M::M16n8k16) if units.brain_k16 => (16, ALL, 2),
            (Component::Bf16, M::M16n8k8) if units.brain_k16 => (16, LOW, 2),
            (Component::S8, M::M16n8k32) if units.byte_k32 => (32, ALL, 2),
            (Component::S8, M::M16n8k16) if units.byte_k32 => (32, LOW, 2),
            _ => return None,
        };
        // Of bfloat16 there are sums of 16 columns alone.
        let columns = match form.component {
            Component::Bf16 => 16,
            _ => 8,
        };
        let matrix = |component, rows, columns, role| Matrix {
            component,
            rows,
            columns,
            role,
        };
        Some(Self {
            a: matrix(form.component, 16, depth, Role::A),
            b: matrix(form.component, depth, columns, Role::B),
            sum: matrix(form.sum, 16, columns, Role::Accumulator),
            order,
            b_words,
        })
    }
}

impl Matrix {
    /// The element of a lane's that PTX counts as the `n`-th.
    fn place(&self, n: u32) -> u32 {
        match (self.role, self.columns) {
            (Role::Accumulator, 16) => n + n / 2 * 2,
            _ => n,
        }
    }
}

impl Emitter<'_> {
    /// The words of A that another product of this block lays beside those of the present one, if the device's shape has twice
    /// its k and the other's are known by now.
    pub(super) fn shared_with(
        &mut self,
        product: &Product,
        i: &Instruction,
        a: &[Id],
    ) -> Option<Shared> {
        // Of floating-point numbers, zero times NaN would matter.
        let &[low, high] = a else { return None };
        if product.a.component != Component::S8 {
            return None;
        }
        let own = [low, high];
        if let Some(&shared) = self.matrix.shared.get(&own) {
            return Some(shared);
        }
        let graph = self.graph;
        let steps = &graph.blocks[self.block as usize].steps;
        let words = steps[self.matrix.at + 1..]
            .iter()
            .take(NEAR)
            .find_map(|step| {
                let Step::Instruction {
                    frame, statement, ..
                } = *step
                else {
                    return None;
                };
                let other = graph.instruction(frame, statement);
                if other.opcode != Opcode::Mma || other.modifiers != i.modifiers {
                    return None;
                }
                let mut registers = Vec::new();
                graph::operand_registers(other.operands.get(1)?, &mut |r| {
                    registers.push(graph.register(frame, r));
                });
                let words = registers.iter().map(|&r| match self.storage[r as usize] {
                    Storage::Ssa(Some(v)) if v.ty == Type::U32 => Some(v.id),
                    _ => None,
                });
                let words: Option<Vec<Id>> = words.collect();
                let words = <[Id; 2]>::try_from(words?).ok()?;
                (words != own && !self.matrix.shared.contains_key(&words)).then_some(words)
            })?;
        let (lower, upper) = (
            Shared {
                words,
                upper: false,
            },
            Shared {
                words: own,
                upper: true,
            },
        );
        self.matrix.shared.insert(own, lower);
        self.matrix.shared.insert(words, upper);
        Some(lower)
    }

    /// The product of PTX fragments, as words; gives D's.
    pub(super) fn cooperative_product(
        &mut self,
        product: Product,
        (a, shared): (&[Id], Option<Shared>),
        b: &[Id],
        c: &[Id],
    ) -> Vec<Id> {
        let mut b: Vec<Option<Id>> = (0..product.b_words).map(|n| b.get(n).copied()).collect();
        let a: Vec<Option<Id>> = match shared {
            None => product.order.iter().map(|n| n.map(|n| a[n])).collect(),
            Some(Shared { words, upper }) => {
                let (lower, upper) = if upper {
                    b.reverse();
                    (&words[..], a)
                } else {
                    (a, &words[..])
                };
                [lower[0], upper[0], lower[1], upper[1]].map(Some).to_vec()
            }
        };
        let c: Vec<Option<Id>> = c.iter().map(|&w| Some(w)).collect();
        let a = self.matrix_of(product.a, &a);
        let b = self.matrix_of(product.b, &b);
        let c = self.matrix_of(product.sum, &c);
        let ty = Type::Matrix(product.sum);
        let d = if product.a.component == Component::S8 {
            // CooperativeMatrixOperands: A, B, C and the result are signed.
            const SIGNED: u32 = 0xf;
            self.asm
                .op(Op::CooperativeMatrixMulAddKHR, ty, &[a, b, c, SIGNED])
        } else {
            self.asm.op(Op::CooperativeMatrixMulAddKHR, ty, &[a, b, c])
        };
        let words = self.sum_words(product.sum, d);
        let key = words.iter().map(|&w| Some(w)).collect();
        self.matrix.matrices.insert((product.sum, key), d);
        words
    }

    /// Keeps a matrix for products of its words.
    pub(super) fn keep_matrix(&mut self, matrix: Matrix, words: &[Id], id: Id) {
        let key = words.iter().map(|&w| Some(w)).collect();
        self.matrix.matrices.insert((matrix, key), id);
    }

    /// Matrices of 8x8, a word of each lane for each, transposed: two at a time.
    ///
    /// As sums a lane holds elements (g, 2t) and (g, 2t + 1) of each, as B elements (2t, g) and (2t + 1, g)
    /// (SPV_NV_cooperative_matrix2, OpCooperativeMatrixConvertNV).
    pub(super) fn transposed(&mut self, words: &[Id]) -> Vec<Id> {
        const CONVERT: u16 = 5293;
        const CONVERSIONS: u32 = 5431;
        self.asm.numbered_capability(CONVERSIONS);
        self.asm.extension("SPV_NV_cooperative_matrix2");
        let matrix = |role| Matrix {
            component: Component::F16,
            rows: 16,
            columns: 8,
            role,
        };
        let (sum, b) = (matrix(Role::Accumulator), matrix(Role::B));
        words
            .chunks(2)
            .flat_map(|two| {
                let some: Vec<Option<Id>> = two.iter().map(|&w| Some(w)).collect();
                let from = self.matrix_of(sum, &some);
                let id = self.asm.numbered(CONVERT, Type::Matrix(b), &[from]);
                let words = self.half_words(id, two.len() as u32);
                if two.len() == 2 {
                    self.keep_matrix(b, &words, id);
                }
                words
            })
            .collect()
    }

    /// The words of a matrix of halves.
    pub(super) fn half_words(&mut self, id: Id, count: u32) -> Vec<Id> {
        let pair = Type::Vector(Scalar::F16, 2);
        (0..count)
            .map(|word| {
                let halves = [2 * word, 2 * word + 1]
                    .map(|n| self.asm.op(Op::CompositeExtract, Type::F16, &[id, n]));
                let v = self.asm.op(Op::CompositeConstruct, pair, &halves);
                self.asm.op(Op::Bitcast, Type::U32, &[v])
            })
            .collect()
    }

    /// A matrix of a lane's words (zeros where there is none). The same words make one matrix in a block.
    fn matrix_of(&mut self, matrix: Matrix, words: &[Option<Id>]) -> Id {
        let key = (matrix, words.to_vec());
        if let Some(&id) = self.matrix.matrices.get(&key) {
            return id;
        }
        let ty = Type::Matrix(matrix);
        let units = &self.target.matrix_units;
        let in_word = match (matrix.component, matrix.role, matrix.rows, matrix.columns) {
            (Component::S8, ..) if units.byte_words => 4,
            (Component::F16, Role::A, _, 16) | (Component::F16, Role::B, 16, _)
                if units.half_words =>
            {
                2
            }
            (Component::Bf16, ..) if units.brain_words => 2,
            _ => 1,
        };
        if in_word > 1 {
            let (rows, columns) = match matrix.role {
                Role::A => (matrix.rows, matrix.columns / in_word),
                _ => (matrix.rows / in_word, matrix.columns),
            };
            let of_words = Matrix {
                component: Component::U32,
                rows,
                columns,
                role: matrix.role,
            };
            let id = self.matrix_of(of_words, words);
            let id = self.asm.op(Op::Bitcast, ty, &[id]);
            self.matrix.matrices.insert(key, id);
            return id;
        }
        let mut id = self.asm.null(ty);
        let part = matrix.component.ty();
        let each = 4 / part.size();
        for (n, word) in words.iter().enumerate() {
            let Some(word) = *word else { continue };
            let at = matrix.place(n as u32 * each);
            match matrix.component {
                Component::U32 | Component::F32 => {
                    id = self.asm.op(Op::CompositeInsert, ty, &[word, id, at]);
                }
                Component::S32 => {
                    let v = self.asm.op(Op::Bitcast, part, &[word]);
                    id = self.asm.op(Op::CompositeInsert, ty, &[v, id, at]);
                }
                Component::Bf16 => {
                    let v = self
                        .asm
                        .op(Op::Bitcast, Type::Vector(Scalar::U16, 2), &[word]);
                    for e in 0..each {
                        let x = self.asm.op(Op::CompositeExtract, Type::U16, &[v, e]);
                        let x = self.asm.op(Op::Bitcast, part, &[x]);
                        id = self.asm.op(Op::CompositeInsert, ty, &[x, id, at + e]);
                    }
                }
                Component::F16 | Component::S8 | Component::U8 => {
                    let scalar = part.scalar().expect("components are scalars");
                    let vector = Type::Vector(scalar, each as u8);
                    let v = self.asm.op(Op::Bitcast, vector, &[word]);
                    for e in 0..each {
                        let x = self.asm.op(Op::CompositeExtract, part, &[v, e]);
                        id = self.asm.op(Op::CompositeInsert, ty, &[x, id, at + e]);
                    }
                }
            }
        }
        self.matrix.matrices.insert(key, id);
        id
    }

    /// The lane's words of a matrix of sums.
    fn sum_words(&mut self, matrix: Matrix, id: Id) -> Vec<Id> {
        let part = matrix.component.ty();
        let element =
            |e: &mut Self, n| e.asm.op(Op::CompositeExtract, part, &[id, matrix.place(n)]);
        match matrix.component {
            Component::F16 => (0..2)
                .map(|n| {
                    let (x, y) = (element(self, 2 * n), element(self, 2 * n + 1));
                    let vector = Type::Vector(Scalar::F16, 2);
                    let v = self.asm.op(Op::CompositeConstruct, vector, &[x, y]);
                    self.asm.op(Op::Bitcast, Type::U32, &[v])
                })
                .collect(),
            Component::S32 => (0..4)
                .map(|n| {
                    let x = element(self, n);
                    self.asm.op(Op::Bitcast, Type::U32, &[x])
                })
                .collect(),
            _ => (0..4).map(|n| element(self, n)).collect(),
        }
    }
}
