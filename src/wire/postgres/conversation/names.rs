//! Names.
#[derive(Debug, Default)]
pub(super) struct Names;
