//! Client.
use bytes::BytesMut;
use crate::wire::postgres::conversation::{Answer, Conversation};
use crate::wire::postgres::fault::ClientFault;
impl Conversation {
    pub(super) fn take_client(&mut self, _input: &mut BytesMut) -> Result<(), ClientFault> { Ok(()) }
    pub(super) fn take_answer(&mut self, _answer: Answer) {}
    pub(super) fn holds_client(&self) -> bool { false }
}
