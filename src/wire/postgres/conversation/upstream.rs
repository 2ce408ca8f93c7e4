//! Upstream.
use bytes::BytesMut;
use crate::wire::postgres::conversation::Conversation;
use crate::wire::postgres::fault::UpstreamFault;
impl Conversation {
    pub(super) fn take_upstream(&mut self, _input: &mut BytesMut) -> Result<(), UpstreamFault> { Ok(()) }
}
