//! Attributes that streams and kernel nodes keep for those who ask: hints that change nothing here.

use crate::boundary::Result;
use crate::core::operation::Blocks;
use cuda_abi::CUlaunchAttributeID as A;
use cuda_abi::*;

/// Whose attributes they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A stream.
    Stream,
    /// A kernel node of a graph.
    Node,
}

/// The attributes of a stream or a kernel node.
#[derive(Clone)]
pub struct Attributes {
    owner: Owner,
    set: Vec<(A, CUlaunchAttributeValue)>,
}

/// A value that begins with these 32 bits and is 0 otherwise.
fn word(word: i32) -> CUlaunchAttributeValue {
    let mut bytes = [0; 64];
    bytes[..4].copy_from_slice(&word.to_ne_bytes());
    CUlaunchAttributeValue { bytes }
}

impl Attributes {
    /// Those of something new.
    pub fn new(owner: Owner) -> Self {
        Self {
            owner,
            set: Vec::new(),
        }
    }

    /// Those of a node that launches a kernel.
    pub fn of_launch(blocks: Blocks) -> Self {
        let mut attributes = Self::new(Owner::Node);
        if blocks == Blocks::Together {
            attributes.set.push((A::COOPERATIVE, word(1)));
        }
        attributes
    }

    /// Whether the blocks of a node's launch wait for each other.
    pub fn blocks(&self) -> Blocks {
        // SAFETY: every bit pattern is an integer.
        let is_set = |value: CUlaunchAttributeValue| unsafe { value.int } != 0;
        match self.get(A::COOPERATIVE).is_some_and(is_set) {
            true => Blocks::Together,
            false => Blocks::Apart,
        }
    }

    fn initial(&self, id: A) -> Option<CUlaunchAttributeValue> {
        let value = match (self.owner, id) {
            // `CU_SYNC_POLICY_AUTO` is 1, but a new stream says that nothing was chosen.
            (Owner::Stream, A::SYNCHRONIZATION_POLICY) => -1,
            // Domain 0 is the default, domain 1 the remote one: two bytes.
            (_, A::MEM_SYNC_DOMAIN_MAP) => 0x0100,
            (_, A::ACCESS_POLICY_WINDOW | A::PRIORITY | A::MEM_SYNC_DOMAIN) => 0,
            (
                Owner::Node,
                A::COOPERATIVE
                | A::CLUSTER_DIMENSION
                | A::CLUSTER_SCHEDULING_POLICY_PREFERENCE
                | A::DEVICE_UPDATABLE_KERNEL_NODE
                | A::PREFERRED_SHARED_MEMORY_CARVEOUT,
            ) => 0,
            _ => return None,
        };
        Some(word(value))
    }

    /// An attribute's value; `None` for one that the owner does not have.
    pub fn get(&self, id: A) -> Option<CUlaunchAttributeValue> {
        let set = self.set.iter().find(|(known, _)| *known == id);
        set.map(|(_, value)| *value).or_else(|| self.initial(id))
    }

    /// Sets an attribute.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for one that the owner does not have, and for a value that it cannot have.
    pub fn set(&mut self, id: A, mut value: CUlaunchAttributeValue) -> Result {
        self.initial(id).ok_or(CUresult::INVALID_VALUE)?;
        // SAFETY: every bit pattern is an integer.
        let (int, bytes) = unsafe { (value.int, value.bytes) };
        let valid = match id {
            A::SYNCHRONIZATION_POLICY => (0..=4).contains(&int),
            A::MEM_SYNC_DOMAIN => (0..=1).contains(&int),
            A::MEM_SYNC_DOMAIN_MAP => bytes[..2].iter().all(|&domain| domain <= 3),
            A::CLUSTER_SCHEDULING_POLICY_PREFERENCE => (0..=2).contains(&int),
            A::PREFERRED_SHARED_MEMORY_CARVEOUT => (-1..=100).contains(&int),
            _ => true,
        };
        if !valid {
            return Err(CUresult::INVALID_VALUE);
        }
        if id == A::PRIORITY {
            // The range of priorities is that of devices that have them.
            value = word(int.clamp(-5, 0));
        }
        self.set.retain(|(known, _)| *known != id);
        self.set.push((id, value));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(attributes: &Attributes, id: A) -> Option<i32> {
        // SAFETY: every bit pattern is an integer.
        attributes.get(id).map(|value| unsafe { value.int })
    }

    #[test]
    fn what_was_set_is_told_and_what_is_not_had_is_refused() {
        let mut stream = Attributes::new(Owner::Stream);
        assert_eq!(int(&stream, A::SYNCHRONIZATION_POLICY), Some(-1));
        assert_eq!(int(&stream, A::COOPERATIVE), None);
        assert_eq!(stream.set(A::SYNCHRONIZATION_POLICY, word(2)), Ok(()));
        assert_eq!(int(&stream, A::SYNCHRONIZATION_POLICY), Some(2));
        let refused = Err(CUresult::INVALID_VALUE);
        assert_eq!(stream.set(A::SYNCHRONIZATION_POLICY, word(9)), refused);
        assert_eq!(stream.set(A::COOPERATIVE, word(1)), refused);
        let mut node = Attributes::new(Owner::Node);
        assert_eq!(int(&node, A::MEM_SYNC_DOMAIN_MAP), Some(0x100));
        assert_eq!(node.set(A::COOPERATIVE, word(1)), Ok(()));
        assert_eq!(int(&node, A::COOPERATIVE), Some(1));
        assert_eq!(node.set(A::PRIORITY, word(100)), Ok(()));
        assert_eq!(int(&node, A::PRIORITY), Some(0));
    }
}
