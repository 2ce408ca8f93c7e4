//! What a response's body goes through on its way to the client.
//!
//! Job: content codings off, injected secrets out, masks on, items counted, codings on again. Boundary: pure, a piece at a
//! time; what comes out of one [`Wash::pull`] is bounded, however much a body unpacks to. Failure mode: a
//! [`WashError`]; nothing may be passed on after it.

use bytes::{Bytes, BytesMut};
use thiserror::Error;

use super::masker::Masker;
use crate::wire::http::encoding::{Coding, CodingError, Decoder, Encoder, Pulled, UnpackLimits};
use crate::wire::http::grpc::Messages;
use crate::wire::http::redact::BodyRedactor;

/// Why a body cannot be passed on.
#[derive(Debug, Error)]
pub(in crate::gateway) enum WashError {
    #[error(transparent)]
    Coding(#[from] CodingError),
    #[error("{0}")]
    Mask(String),
    #[error("it cannot be packed again")]
    Packing(#[from] std::io::Error),
    #[error("it holds the credential that was injected")]
    Secret,
    #[error("it is longer than the {0} bytes that this target allows")]
    TooLong(u64),
    #[error("it holds more than the {0} items that this target allows")]
    TooMany(u64),
    #[error("its items cannot be counted: {0}")]
    Uncountable(String),
}

/// One body on its way.
pub(in crate::gateway) struct Wash {
    decoder: Decoder,
    redactor: Option<BodyRedactor>,
    /// Where messages of gRPC end: nothing of one waits for the next, and nothing in one may change. The lengths that
    /// say so are not to be believed, so somebody looks across the ends as well.
    messages: Option<(Messages, BodyRedactor)>,
    masker: Option<Masker>,
    encoder: Option<Encoder>,
    /// Whether each piece must be readable at once.
    is_live: bool,
    /// Whether the client was told how long it is, so that nothing in it may change.
    is_sized: bool,
    most: Option<u64>,
    length: u64,
    count: Option<Count>,
    /// What is masked and waits until a piece is full: where pieces end would tell how long values were.
    waiting: BytesMut,
    is_over: bool,
}

/// How many items may come.
#[derive(Debug)]
pub(in crate::gateway) struct Count {
    /// The most.
    pub(in crate::gateway) most: u64,
    /// What counts where no masker does; what it gives out is not used.
    pub(in crate::gateway) counter: Option<Masker>,
}

/// What came out.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Washed {
    /// As it is recorded.
    pub(in crate::gateway) shown: Bytes,
    /// As it is sent.
    pub(in crate::gateway) sent: Bytes,
}

impl Wash {
    /// For a body with these codings.
    pub(in crate::gateway) fn new(
        chain: &[Coding],
        redactor: Option<BodyRedactor>,
        masker: Option<Masker>,
        most: Option<u64>,
    ) -> Result<Self, WashError> {
        Ok(Self {
            decoder: Decoder::new(chain, UnpackLimits::default()),
            redactor,
            messages: None,
            masker,
            encoder: if chain.is_empty() { None } else { Some(Encoder::new(chain)?) },
            is_live: false,
            is_sized: false,
            most,
            length: 0,
            count: None,
            waiting: BytesMut::new(),
            is_over: false,
        })
    }

    /// For a body whose items are counted.
    pub(in crate::gateway) fn counted(self, count: Option<Count>) -> Self {
        Self { count, ..self }
    }

    /// How many items were let through, where they are counted.
    pub(in crate::gateway) fn items(&self) -> Option<u64> {
        let counter = self.count.as_ref()?.counter.as_ref().or(self.masker.as_ref())?;
        Some(counter.items())
    }

    /// Counts the items of what goes on.
    fn count(&mut self, clean: &[u8]) -> Result<(), WashError> {
        if let Some(counter) = self.count.as_mut().and_then(|count| count.counter.as_mut()) {
            let mut unused = BytesMut::new();
            let counted = counter.feed(clean, &mut unused);
            let counted =
                counted.and_then(|()| if self.is_over { counter.finish(&mut unused) } else { Ok(()) });
            counted.map_err(WashError::Uncountable)?;
        }
        match (&self.count, self.items()) {
            // INVARIANT: the piece with one item more is not given out
            (Some(count), Some(items)) if items > count.most => Err(WashError::TooMany(count.most)),
            _ => Ok(()),
        }
    }

    /// For a body whose pieces must be readable at once.
    pub(in crate::gateway) fn live(self) -> Self {
        Self { is_live: true, ..self }
    }

    /// For a body that is messages of gRPC, whose lengths stand before them.
    pub(in crate::gateway) fn messages(self, watcher: BodyRedactor) -> Self {
        Self { messages: Some((Messages::default(), watcher)), is_sized: true, ..self }
    }

    /// For a body whose length was told.
    pub(in crate::gateway) fn sized(self) -> Self {
        Self { is_sized: true, ..self }
    }

    /// How many secrets were taken out.
    pub(in crate::gateway) fn found(&self) -> u64 {
        self.redactor.as_ref().map_or(0, BodyRedactor::found)
    }

    /// Takes the next piece; pull until nothing comes.
    pub(in crate::gateway) fn push(&mut self, piece: Bytes) {
        self.decoder.push(piece);
    }

    /// No more pieces come; pull until nothing comes.
    pub(in crate::gateway) fn close(&mut self) {
        self.decoder.close();
    }

    /// What can be sent; `None` when another piece is needed, or all is out.
    pub(in crate::gateway) fn pull(&mut self) -> Result<Option<Washed>, WashError> {
        // INVARIANT: what is masked is cut where its own length says, not where the API or the unpacking cut it
        let is_cut = self.masker.is_some() && !self.is_live;
        loop {
            // the last piece, even a full one, is packed as the last
            if is_cut && self.waiting.len() > PIECE {
                let piece = self.waiting.split_to(PIECE);
                return self.pack(piece, false).map(Some);
            }
            if self.is_over {
                return match self.waiting.is_empty() {
                    true => Ok(None),
                    false => {
                        let rest = self.waiting.split();
                        self.pack(rest, true).map(Some)
                    }
                };
            }
            let Some(shown) = self.clean()? else { return Ok(None) };
            if !is_cut {
                return self.pack(shown, self.is_over).map(Some);
            }
            self.waiting.unsplit(shown);
            if self.is_over && self.waiting.is_empty() {
                return self.pack(BytesMut::new(), true).map(Some);
            }
        }
    }

    /// The next piece without what must not be shown; `None` when another is needed.
    fn clean(&mut self) -> Result<Option<BytesMut>, WashError> {
        let mut plain = BytesMut::new();
        match self.decoder.pull(&mut plain)? {
            Pulled::Waiting => return Ok(None),
            Pulled::More => {}
            Pulled::End => self.is_over = true,
        }
        self.length += plain.len() as u64;
        if let Some(most) = self.most.filter(|most| self.length > *most) {
            return Err(WashError::TooLong(most));
        }
        let mut clean = BytesMut::new();
        match &mut self.redactor {
            None => clean = plain,
            Some(redactor) => {
                match &mut self.messages {
                    None => redactor.feed(&plain, &mut clean),
                    Some((messages, watcher)) => {
                        watcher.feed(&plain, &mut BytesMut::new());
                        if watcher.found() > 0 {
                            return Err(WashError::Secret);
                        }
                        messages.split(&plain, |part, is_end| {
                            redactor.feed(part, &mut clean);
                            if is_end {
                                redactor.finish(&mut clean);
                            }
                        });
                    }
                }
                if self.is_over {
                    redactor.finish(&mut clean);
                }
            }
        }
        if self.is_sized && self.found() > 0 {
            return Err(WashError::Secret);
        }
        let mut shown = BytesMut::new();
        if let Some(masker) = &mut self.masker {
            let fed = masker.feed(&clean, &mut shown);
            let fed = fed.and_then(|()| if self.is_over { masker.finish(&mut shown) } else { Ok(()) });
            fed.inspect_err(|error| tracing::debug!(?error, "an answer cannot be masked"))
                .map_err(WashError::Mask)?;
        }
        self.count(&clean)?;
        if self.masker.is_none() {
            shown = clean;
        }
        Ok(Some(shown))
    }

    /// Packs a piece again.
    fn pack(&mut self, shown: BytesMut, is_last: bool) -> Result<Washed, WashError> {
        let shown = shown.freeze();
        let sent = match self.encoder.take() {
            None => shown.clone(),
            Some(mut encoder) => {
                let mut packed = BytesMut::new();
                encoder.encode(&shown, &mut packed)?;
                if is_last {
                    encoder.finish(&mut packed)?;
                } else {
                    if self.is_live {
                        encoder.flush(&mut packed)?;
                    }
                    self.encoder = Some(encoder);
                }
                packed.freeze()
            }
        };
        Ok(Washed { shown, sent })
    }
}

/// How long the pieces of a masked answer are.
const PIECE: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::sync::Arc;

    use super::*;
    use crate::domain::mask::Mask;
    use crate::domain::name::RuleName;
    use crate::mask::document::{BodyMasker, DocumentPath, DocumentPlan, DocumentRule, KeyCase};

    /// The lengths of the pieces that come out, sent packed in this way and cut like this.
    fn pieces(body: &str, cut: usize, chain: &[Coding]) -> Vec<(usize, usize)> {
        let rule = DocumentRule {
            name: RuleName::new("keys").unwrap(),
            path: DocumentPath::new("$..key").unwrap(),
            mask: Mask::Full,
        };
        let plan = Arc::new(DocumentPlan::new(&[rule], KeyCase::Exact).unwrap());
        let masker = BodyMasker::new(Some("application/json"), &plan).unwrap();
        let masker = Masker::Document(masker);
        let mut wash = Wash::new(chain, None, Some(masker), None).unwrap();
        let (mut packed, mut encoder) = (BytesMut::new(), Encoder::new(chain).unwrap());
        encoder.encode(body.as_bytes(), &mut packed).unwrap();
        encoder.finish(&mut packed).unwrap();
        let mut lengths = Vec::new();
        let mut take = |wash: &mut Wash| {
            while let Some(washed) = wash.pull().unwrap() {
                lengths.push((washed.shown.len(), washed.sent.len()));
            }
        };
        for piece in packed.chunks(cut) {
            wash.push(Bytes::copy_from_slice(piece));
            take(&mut wash);
        }
        wash.close();
        take(&mut wash);
        lengths
    }

    /// Whoever sees where pieces end must not learn how long a masked value was.
    #[test]
    fn pieces_tell_nothing_of_the_length_of_what_is_masked() {
        let body = |secret: usize| {
            let one = |at: usize| format!("{{\"n\":{at},\"key\":\"{}\"}}", "x".repeat(secret));
            format!("[{}]", (0..4000).map(|at| one(1000 + at)).collect::<Vec<_>>().join(","))
        };
        for chain in [&[][..], &[Coding::Gzip], &[Coding::Zstd], &[Coding::Brotli]] {
            let long = pieces(&body(300), 10_000, chain);
            assert!(long.len() > 3, "{long:?}");
            assert_eq!(long, pieces(&body(3), 777, chain), "{chain:?}");
        }
        assert_eq!(pieces("{}", 1, &[]), [(2, 2)]);
        // a body that is as long as a piece is whole, too
        let full = format!("\"{}\"", "x".repeat(PIECE - 2));
        for cut in [PIECE, 7] {
            assert_eq!(pieces(&full, cut, &[]), [(PIECE, PIECE)]);
            assert_eq!(pieces(&full, cut, &[Coding::Gzip]).len(), 1);
        }
    }
}
