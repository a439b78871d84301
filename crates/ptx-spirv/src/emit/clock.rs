//! Clocks: `%clock`, `%globaltimer` and `nanosleep` (PTX ISA, "Special Registers", "nanosleep").
//!
//! `%globaltimer` counts nanoseconds, what the device's clock counts is [`Target::device_clock`]. `nanosleep` waits until it has counted
//! enough: `while (globaltimer() - start < t);`. It may be as short as nothing by its definition, which it is where there is no such
//! clock; but programs that want a kernel to take some time wait that way.

use super::*;
use rspirv::spirv::{Capability, GLOp};

/// Scopes of a clock: the device's, and the subgroup's.
const DEVICE: u32 = 1;
const SUBGROUP: u32 = 3;

/// The longest sleep, in nanoseconds (PTX ISA: "The maximum sleep duration is 1 millisecond").
const LONGEST: u32 = 1_000_000;

impl Emitter<'_> {
    fn read_clock(&mut self, scope: u32) -> Id {
        self.asm.capability(Capability::ShaderClockKHR);
        self.asm.extension("SPV_KHR_shader_clock");
        let scope = self.asm.u32(scope);
        self.asm.op(Op::ReadClockKHR, Type::U64, &[scope])
    }

    /// `%clock64`; `%globaltimer` where nothing counts nanoseconds.
    pub(super) fn clock(&mut self) -> Id {
        self.read_clock(SUBGROUP)
    }

    /// `%globaltimer`, on devices with a clock.
    pub(super) fn global_timer(&mut self) -> Id {
        let ticks = self.read_clock(DEVICE);
        match self.target.device_clock {
            1 => ticks,
            nanoseconds => {
                let nanoseconds = self.asm.constant(Type::U64, nanoseconds.into());
                self.asm.op(Op::IMul, Type::U64, &[ticks, nanoseconds])
            }
        }
    }

    /// `nanosleep`.
    pub(super) fn nanosleep(&mut self, i: &Instruction) -> Result<()> {
        let wanted = self.value(self.operand(i, 0)?, Type::U32)?;
        if self.target.device_clock == 0 {
            return Ok(());
        }
        let longest = self.asm.u32(LONGEST);
        let wanted = self.asm.glsl(GLOp::UMin, Type::U32, &[wanted, longest]);
        let wanted = self.asm.op(Op::UConvert, Type::U64, &[wanted]);
        let start = self.global_timer();
        let [header, next, merge] = [(); 3].map(|()| self.asm.id());
        self.asm.void(Op::Branch, &[header]);
        self.label(header);
        let now = self.global_timer();
        let passed = self.asm.op(Op::ISub, Type::U64, &[now, start]);
        let early = self.asm.op(Op::ULessThan, Type::Bool, &[passed, wanted]);
        self.asm.void(Op::LoopMerge, &[merge, next, DONT_UNROLL]);
        self.asm.void(Op::BranchConditional, &[early, next, merge]);
        self.label(next);
        self.asm.void(Op::Branch, &[header]);
        self.label(merge);
        // Compilers leave a loop out of which nothing comes. This condition never holds, of which they know nothing.
        let ever = self.asm.constant(Type::U64, u64::MAX);
        let never = self.asm.op(Op::IEqual, Type::Bool, &[passed, ever]);
        self.when(never, |e| {
            let (record, zero) = (e.fault_record(), e.asm.u32(0));
            e.store_device(record, Type::U32, zero, memory::Access::default());
        });
        Ok(())
    }
}
