//! Pending.
#[derive(Debug, Default)]
pub(super) struct Pending;
impl Pending {
    pub(super) fn len(&self) -> usize { 0 }
}
/// Copy
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copy { None }
