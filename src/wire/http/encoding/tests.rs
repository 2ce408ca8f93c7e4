#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::io::Write as _;

use proptest::prelude::*;

use super::*;

const ALL: [Coding; 4] = [Coding::Brotli, Coding::Deflate, Coding::Gzip, Coding::Zstd];

fn pack(chain: &[Coding], body: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(chain).unwrap();
    let mut out = BytesMut::new();
    for piece in body.chunks(1000) {
        encoder.encode(piece, &mut out).unwrap();
    }
    encoder.finish(&mut out).unwrap();
    out.to_vec()
}

fn unpack(
    chain: &[Coding],
    packed: &[u8],
    size: usize,
    limits: UnpackLimits,
) -> Result<Vec<u8>, CodingError> {
    let mut decoder = Decoder::new(chain, limits);
    let mut out = BytesMut::new();
    for piece in packed.chunks(size) {
        decoder.push(Bytes::copy_from_slice(piece));
        while decoder.pull(&mut out)? == Pulled::More {}
    }
    decoder.close();
    loop {
        match decoder.pull(&mut out)? {
            Pulled::End => return Ok(out.to_vec()),
            Pulled::More => {}
            Pulled::Waiting => panic!("waits after the end"),
        }
    }
}

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| b"the quick brown fox "[at * 7 % 20] ^ u8::try_from(at / 999 % 3).unwrap()).collect()
}

#[test]
fn what_was_packed_is_unpacked_however_it_is_cut() {
    let body = text(100_000);
    for chain in ALL.map(|coding| vec![coding]).into_iter().chain([vec![], vec![Coding::Gzip, Coding::Zstd]])
    {
        let packed = pack(&chain, &body);
        for size in [1, 7, 4096, usize::MAX] {
            let unpacked = unpack(&chain, &packed, size, UnpackLimits::default());
            assert!(unpacked.as_ref() == Ok(&body), "{chain:?} in pieces of {size}: {:?}", unpacked.err());
        }
    }
}

#[test]
fn bare_deflate_is_taken_for_what_it_is() {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&text(5000)).unwrap();
    let packed = encoder.finish().unwrap();
    assert_eq!(unpack(&[Coding::Deflate], &packed, 1, UnpackLimits::default()), Ok(text(5000)));
}

#[test]
fn what_is_not_whole_or_has_more_is_refused() {
    for coding in ALL {
        let packed = pack(&[coding], &text(5000));
        for size in [1, 100_000] {
            for cut in [0, 1, 2, packed.len() / 2, packed.len() - 1] {
                let part = unpack(&[coding], &packed[..cut], size, UnpackLimits::default());
                // nothing is no zstd frame, of which there may be any number
                let is_nothing = coding == Coding::Zstd && cut == 0;
                assert!(
                    part.is_err() || is_nothing,
                    "{coding:?} cut at {cut}: {:?}",
                    part.map(|part| part.len())
                );
            }
            let more = [&packed[..], b"secret"].concat();
            assert!(unpack(&[coding], &more, size, UnpackLimits::default()).is_err(), "{coding:?} and more");
        }
    }
}

#[test]
fn bombs_are_given_out_in_pieces_and_stopped() {
    for coding in ALL {
        let packed = pack(&[coding], &vec![0; 64 << 20]);
        let mut decoder = Decoder::new(&[coding], UnpackLimits { most_bytes: 1 << 24, most_ratio: u64::MAX });
        decoder.push(packed.clone().into());
        let (mut out, mut produced) = (BytesMut::new(), 0);
        let error = loop {
            match decoder.pull(&mut out) {
                Ok(pulled) => assert_eq!(pulled, Pulled::More),
                Err(error) => break error,
            }
            assert!(out.len() <= PIECE);
            produced += out.len();
            out.clear();
        };
        assert_eq!((error, decoder.pull(&mut out)), (CodingError::TooBig, Err(CodingError::TooBig)));
        assert!(produced <= 1 << 24);
        let twice = pack(&[coding], &packed);
        let limits = UnpackLimits::default();
        assert_eq!(
            unpack(&[coding, coding], &twice, 999, limits),
            Err(CodingError::TooBig),
            "{coding:?} twice"
        );
    }
}

#[test]
fn what_is_flushed_can_be_read_at_once() {
    for coding in ALL {
        let mut encoder = Encoder::new(&[coding]).unwrap();
        let mut decoder = Decoder::new(&[coding], UnpackLimits::default());
        for event in ["data: 1\n\n", "data: 2\n\n"] {
            let (mut packed, mut out) = (BytesMut::new(), BytesMut::new());
            encoder.encode(event.as_bytes(), &mut packed).unwrap();
            encoder.flush(&mut packed).unwrap();
            decoder.push(packed.freeze());
            while decoder.pull(&mut out).unwrap() == Pulled::More {}
            assert_eq!(out, event, "{coding:?}");
        }
    }
}

#[test]
fn unknown_codings_are_refused() {
    let chain = |value: &'static str| Coding::chain([value].into_iter());
    assert_eq!(chain("GZIP, identity, br"), Ok(vec![Coding::Gzip, Coding::Brotli]));
    assert_eq!(chain(""), Ok(vec![]));
    for value in ["compress", "gzip, x", "gzip, br, zstd", "gzip;q=1", "dcz", "aws-chunked"] {
        assert_eq!(chain(value), Err(CodingError::Unknown), "{value}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_unpacked_or_refused(body in proptest::collection::vec(any::<u8>(), 0..64)) {
        for coding in ALL {
            drop(unpack(&[coding], &body, 3, UnpackLimits::default()));
        }
    }
}
