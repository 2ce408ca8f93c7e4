//! Bytes that wait for the client.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// A queue of byte runs. As a [`Buf`] it can be written with one vectored write; [`pop`](Self::pop)
/// takes a run for whoever wants to see it first.
#[derive(Debug, Default)]
pub struct Output {
    runs: VecDeque<Bytes>,
    length: usize,
}

impl Output {
    /// How many bytes wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Takes the oldest run.
    pub fn pop(&mut self) -> Option<Bytes> {
        let run = self.runs.pop_front()?;
        self.length -= run.len();
        Some(run)
    }

    /// The runs, oldest first.
    pub fn runs(&self) -> impl Iterator<Item = &Bytes> {
        self.runs.iter()
    }

    /// Appends a run.
    pub fn push(&mut self, run: Bytes) {
        if !run.is_empty() {
            self.length += run.len();
            self.runs.push_back(run);
        }
    }
}

impl Buf for Output {
    fn remaining(&self) -> usize {
        self.length
    }

    fn chunk(&self) -> &[u8] {
        self.runs.front().map_or(&[], |run| run)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slot, run) in slices.iter_mut().zip(&self.runs) {
            *slot = IoSlice::new(run);
            filled += 1;
        }
        filled
    }

    fn advance(&mut self, count: usize) {
        let mut left = count.min(self.length);
        self.length -= left;
        while let Some(run) = self.runs.front_mut() {
            if run.len() > left {
                run.advance(left);
                return;
            }
            left -= run.len();
            self.runs.pop_front();
        }
    }
}
