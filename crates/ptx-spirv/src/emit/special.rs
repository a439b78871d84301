//! Special registers (PTX ISA, "Special Registers").

use super::entry::Push;
use super::*;
use ptx::SpecialRegister;
use rspirv::spirv::BuiltIn;

impl Emitter<'_> {
    /// The value of a special register.
    pub(crate) fn special(&mut self, s: SpecialRegister) -> Result<Value> {
        use SpecialRegister::*;
        let u32 = |id| Ok(Value { id, ty: Type::U32 });
        let zero = |e: &mut Self| {
            Ok(Value {
                id: e.asm.u32(0),
                ty: Type::U32,
            })
        };
        let one = |e: &mut Self| {
            Ok(Value {
                id: e.asm.u32(1),
                ty: Type::U32,
            })
        };
        match s {
            TidX | TidY | TidZ => {
                let id = self.thread_index(s);
                u32(id)
            }
            NtidX => u32(self.entry.ntid[0]),
            NtidY => u32(self.entry.ntid[1]),
            NtidZ => u32(self.entry.ntid[2]),
            CtaidX | CtaidY | CtaidZ => {
                let c = [CtaidX, CtaidY, CtaidZ]
                    .iter()
                    .position(|&x| x == s)
                    .unwrap_or(0);
                let id = self.builtin_component(BuiltIn::WorkgroupId, c as u32);
                u32(id)
            }
            NctaidX => u32(self.push(Push::GridX)),
            NctaidY => u32(self.push(Push::GridY)),
            NctaidZ => u32(self.push(Push::GridZ)),
            // Without clusters every block is a cluster of its own.
            ClusteridX => self.special(CtaidX),
            ClusteridY => self.special(CtaidY),
            ClusteridZ => self.special(CtaidZ),
            NclusteridX => self.special(NctaidX),
            NclusteridY => self.special(NctaidY),
            NclusteridZ => self.special(NctaidZ),
            ClusterCtaidX | ClusterCtaidY | ClusterCtaidZ | ClusterCtarank => zero(self),
            ClusterNctaidX | ClusterNctaidY | ClusterNctaidZ | ClusterNctarank => one(self),
            IsExplicitCluster => Ok(Value {
                id: self.asm.constant(Type::Bool, 0),
                ty: Type::Bool,
            }),
            Laneid => u32(self.entry.lane),
            Warpid => u32(self.entry.warp),
            Nwarpid => {
                let threads = self.block_threads();
                let round = self.asm.u32(31);
                let n = self.asm.op(Op::IAdd, Type::U32, &[threads, round]);
                let five = self.asm.u32(5);
                u32(self.asm.op(Op::ShiftRightLogical, Type::U32, &[n, five]))
            }
            // Vulkan does not say where a workgroup runs: one multiprocessor, number 0.
            Smid => zero(self),
            Nsmid => one(self),
            Gridid => {
                let id = self.push(Push::GridId);
                Ok(Value { id, ty: Type::U64 })
            }
            LanemaskEq | LanemaskLe | LanemaskLt | LanemaskGe | LanemaskGt => {
                let one = self.asm.u32(1);
                let lane = self.entry.lane;
                let eq = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[one, lane]);
                let lt = self.asm.op(Op::ISub, Type::U32, &[eq, one]);
                let id = match s {
                    LanemaskEq => eq,
                    LanemaskLt => lt,
                    LanemaskLe => self.asm.op(Op::BitwiseOr, Type::U32, &[lt, eq]),
                    LanemaskGe => self.asm.op(Op::Not, Type::U32, &[lt]),
                    _ => {
                        let le = self.asm.op(Op::BitwiseOr, Type::U32, &[lt, eq]);
                        self.asm.op(Op::Not, Type::U32, &[le])
                    }
                };
                u32(id)
            }
            Globaltimer | GlobaltimerLo | GlobaltimerHi if self.target.device_clock != 0 => {
                let t = self.global_timer();
                Ok(match s {
                    Globaltimer => Value {
                        id: t,
                        ty: Type::U64,
                    },
                    _ => {
                        let (low, high) = self.split(t);
                        Value {
                            id: if s == GlobaltimerHi { high } else { low },
                            ty: Type::U32,
                        }
                    }
                })
            }
            Clock | ClockHi | Clock64 | Globaltimer | GlobaltimerLo | GlobaltimerHi => {
                if !self.target.subgroup_clock {
                    return Err(EmitError::Unsupported(format!(
                        "%{s} without a shader clock"
                    )));
                }
                let t = self.clock();
                if matches!(s, Clock64 | Globaltimer) {
                    return Ok(Value {
                        id: t,
                        ty: Type::U64,
                    });
                }
                let t = if matches!(s, ClockHi | GlobaltimerHi) {
                    let bits = self.asm.u32(32);
                    self.asm.op(Op::ShiftRightLogical, Type::U64, &[t, bits])
                } else {
                    t
                };
                u32(self.asm.op(Op::UConvert, Type::U32, &[t]))
            }
            // The handle of the grid, as cooperative groups read it: the address of the workspace, high and low word.
            Envreg1 | Envreg2 => {
                let handle = self.grid_handle();
                let (low, high) = self.split(handle);
                u32(if s == Envreg1 { high } else { low })
            }
            // The heap's address, low and high word (graph/heap.rs).
            Envreg3 | Envreg4 => {
                let record = self.fault_record();
                let at = self.offset(record, Type::U64, crate::HEAP_ADDRESS_OFFSET.into());
                let access = memory::Access {
                    constant: true,
                    ..Default::default()
                };
                let address = self.load_device(at, Type::U64, access);
                let (low, high) = self.split(address);
                u32(if s == Envreg3 { low } else { high })
            }
            // Nothing of shared memory is reserved here.
            ReservedSmemOffsetBegin
            | ReservedSmemOffsetEnd
            | ReservedSmemOffsetCap
            | ReservedSmemOffset0
            | ReservedSmemOffset1 => zero(self),
            // What only a driver writes, and performance counters that nobody has started.
            Envreg0 | Pm0 | Pm1 | Pm2 | Pm3 | Pm4 | Pm5 | Pm6 | Pm7 => zero(self),
            // No graph is launched by a kernel: it is 0 outside of those.
            CurrentGraphExec | Pm0_64 | Pm1_64 | Pm2_64 | Pm3_64 | Pm4_64 | Pm5_64 | Pm6_64
            | Pm7_64 => Ok(Value {
                id: self.asm.constant(Type::U64, 0),
                ty: Type::U64,
            }),
            // In units of allocation, of 128 bytes on compute capability 9.0.
            TotalSmemSize | AggrSmemSize => {
                let total = self.push(Push::TotalShared);
                let (round, mask) = (self.asm.u32(127), self.asm.u32(!127));
                let total = self.asm.op(Op::IAdd, Type::U32, &[total, round]);
                u32(self.asm.op(Op::BitwiseAnd, Type::U32, &[total, mask]))
            }
            DynamicSmemSize => u32(self.push(Push::DynamicShared)),
            _ => Err(EmitError::Unsupported(format!("special register %{s}"))),
        }
    }

    /// The address of the grid's workspace in a cooperative launch, else 0. The runtime says which by the workspace's
    /// first word.
    fn grid_handle(&mut self) -> Id {
        let parameters = self.push(Push::Parameters);
        let at = self.offset(
            parameters,
            Type::U64,
            self.info.grid_workspace_offset.unwrap_or(0).into(),
        );
        let size = self.load_device(
            at,
            Type::U32,
            memory::Access {
                constant: true,
                ..Default::default()
            },
        );
        let (zero, nothing) = (self.asm.u32(0), self.asm.constant(Type::U64, 0));
        let none = self.asm.op(Op::IEqual, Type::Bool, &[size, zero]);
        self.asm.op(Op::Select, Type::U64, &[none, nothing, at])
    }

    fn thread_index(&mut self, s: ptx::SpecialRegister) -> Id {
        let [nx, ny, nz] = self.entry.ntid;
        let linear = self.entry.linear;
        match s {
            ptx::SpecialRegister::TidX => {
                // In a one-dimensional block the remainder is the number itself; the drivers fold the test.
                let rows = self.asm.op(Op::IMul, Type::U32, &[ny, nz]);
                let one = self.asm.u32(1);
                let flat = self.asm.op(Op::IEqual, Type::Bool, &[rows, one]);
                let x = self.asm.op(Op::UMod, Type::U32, &[linear, nx]);
                self.asm.op(Op::Select, Type::U32, &[flat, linear, x])
            }
            ptx::SpecialRegister::TidY => {
                let row = self.asm.op(Op::UDiv, Type::U32, &[linear, nx]);
                let one = self.asm.u32(1);
                let flat = self.asm.op(Op::IEqual, Type::Bool, &[nz, one]);
                let y = self.asm.op(Op::UMod, Type::U32, &[row, ny]);
                self.asm.op(Op::Select, Type::U32, &[flat, row, y])
            }
            _ => {
                let plane = self.asm.op(Op::IMul, Type::U32, &[nx, ny]);
                self.asm.op(Op::UDiv, Type::U32, &[linear, plane])
            }
        }
    }
}
