//! What is fuzzed: each body takes any bytes and must return. Shared by the fuzzer in `tests/fuzz` and
//! the ordinary tests in `tests/it/fuzz.rs`.

use std::path::Path;

use hoopctl::client::approvals::SignedReviews;
use hoopctl::client::evidence::ProofFile;
use hoopctl::domain::approval::Decision;
use hoopctl::domain::device::Device;
use hoopctl::domain::name::{Digest, ProviderName, RequestId, SessionId};
use hoopctl::domain::principal::{PrincipalId, Subject};
use hoopctl::domain::session::Session;
use hoopctl::ledger::checkpoint::Checkpoint;
use hoopctl::ledger::cosignature::{Cosigner, WitnessKey};
use hoopctl::ledger::note::{Signer, VerifierKey};
use hoopctl::ledger::policy::TrustPolicy;
use hoopctl::ledger::rotation::{Chain, Rotation};
use hoopctl::ledger::tree::Hash;
use hoopctl::ledger::witness::{Request, State, Witness};
use hoopctl::ledger::{entry, tile};
use hoopctl::recording::chunk::{Chunk, ChunkWriter};
use hoopctl::recording::replay::{Cursor, Speed};
use hoopctl::sql::ParseLimits;
use hoopctl::wire::review::Claims;
use hoopctl::wire::{control, dpop, review};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

/// The codecs and machines of PostgreSQL's protocol.
pub(crate) fn postgres(data: &[u8]) {
    hoopctl::wire::postgres::fuzz::all(data);
}

/// What flows inside SSH's channels.
pub(crate) fn ssh(data: &[u8]) {
    hoopctl::wire::ssh::fuzz::all(data);
}

/// What calls of AWS do, and what answers to them hold.
pub(crate) fn aws_calls(data: &[u8]) {
    hoopctl::wire::aws::fuzz::calls::all(data);
}

/// What of HTTP is read before and after hyper: targets, GraphQL, OpenAPI, content codings, redaction.
pub(crate) fn http(data: &[u8]) {
    hoopctl::wire::http::fuzz::all(data);
}

/// Signatures of AWS, of heads and of chunks.
pub(crate) fn aws_signatures(data: &[u8]) {
    hoopctl::wire::aws::fuzz::signatures::all(data);
}

/// The masks on bodies.
pub(crate) fn document(data: &[u8]) {
    hoopctl::mask::document::fuzz::all(data);
}

/// Proofs of possession.
pub(crate) fn dpop(data: &[u8]) {
    let Ok(proof) = std::str::from_utf8(data) else { return };
    let url = url::Url::parse("https://broker.example/v1/sessions").expect("a URL");
    let now = jiff::Timestamp::from_second(1_700_000_000).expect("a time");
    let expected = dpop::Expected { method: "POST", url: &url, access_token: Some("token"), now };
    if let Ok(proof) = dpop::check(proof, &expected) {
        assert!((proof.issued.as_second() - now.as_second()).abs() <= 600, "accepted long after");
    }
}

/// The broker's configuration.
pub(crate) fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let nowhere = Path::new("/nonexistent");
    if let Err(error) = hoopctl::broker::config::Config::parse(text, nowhere) {
        assert!(!error.to_string().is_empty(), "a refusal says why");
    }
}

/// Chunks of recordings, alone and replayed.
pub(crate) fn chunk(data: &[u8]) {
    let Ok(chunk) = Chunk::open(data) else { return };
    // what was read is what would be written
    let mut writer = ChunkWriter::default();
    let mut whole = true;
    for piece in chunk.pieces() {
        let at = jiff::Timestamp::from_microsecond(piece.at);
        whole &= !piece.more;
        match at {
            Ok(at) if whole => assert!(writer.push(at, piece.kind, piece.bytes, usize::MAX).is_none()),
            _ => whole = false,
        }
    }
    if whole {
        let sealed = writer.seal(&chunk.place).expect("memory");
        let again = Chunk::open(&sealed).expect("what was written can be read");
        assert!(again.pieces().eq(chunk.pieces()), "written again, it reads differently");
    }
    let speed = Speed::new(1.0).expect("a speed");
    let mut cursor = Cursor::new(chunk.place.session.clone(), chunk.place.connection, speed);
    while cursor.feed(data).is_ok() {
        while cursor.next_item().is_some() {}
    }
    drop(cursor.finish());
}

/// Entries of the ledger, and the bundles and tiles that hold them.
pub(crate) fn ledger(data: &[u8]) {
    if let Ok(event) = entry::decode(data) {
        let mut again = Vec::new();
        entry::encode(&event, &mut again).expect("what was read can be written");
        assert_eq!(again, data, "an entry can be written in one way only");
    }
    let mut bundle = data;
    while let Some((_, rest)) = tile::split_entry(bundle) {
        bundle = rest;
    }
    drop(tile::hashes(data));
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(tile) = tile::Tile::parse(text) {
        assert_eq!(tile.to_string(), text, "a tile has one path only");
    }
}

/// Signed notes, keys and checkpoints.
pub(crate) fn note(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let ours = signer();
    if let Ok(opened) = ours.verifier().open(text) {
        assert!(text.starts_with(opened), "a note's text is its beginning");
    }
    drop(Checkpoint::open(text, ours.verifier()));
    drop(Signer::parse(text));
    if let Ok(key) = VerifierKey::parse(text) {
        assert_eq!(key.to_string(), text, "a key is written in one way only");
    }
}

/// Rotations of a log's key, and chains of them.
pub(crate) fn rotation(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(rotation) = Rotation::open(text) {
        for key in [&rotation.old, &rotation.new] {
            assert_eq!(key.open(text).ok(), Some(rotation.to_string().as_str()), "both have signed it");
        }
    }
    if let Ok(chain) = Chain::parse(text) {
        assert_eq!(chain.to_string(), text, "there is one way to write it");
        let keys: Vec<_> = chain.keys().collect();
        assert_eq!(keys.len(), chain.rotations().count() + usize::from(!keys.is_empty()));
        assert!(keys.iter().all(|key| chain.in_force(key) == keys[keys.len() - 1]), "all lead to the last");
    }
}

/// Cosignatures, policies, and what a witness is asked.
pub(crate) fn witness(data: &[u8]) {
    let (log, cosigner) = (signer(), cosigner());
    if let Some(request) = Request::parse(data) {
        assert_eq!(request.to_string().as_bytes(), data, "a request is written in one way only");
    }
    let head = Checkpoint { size: 7, root: Hash::new([9; 32]) };
    let note = head.sign(&log);
    if let Ok(policy) = TrustPolicy::parse(data)
        && let Ok(witnessed) = policy.judge(&note, log.verifier())
    {
        assert_eq!(witnessed.checkpoint, head, "what is judged is what was signed");
    }
    let witness = Witness::new(cosigner, [log.verifier().clone()]);
    let state = State::from([(log.verifier().name().to_owned(), Some(head))]);
    let answer = witness.handle(data, &state, 1);
    assert!(matches!(answer.status, 200 | 400 | 403 | 404 | 409 | 422), "{answer:?}");
    if let Some(keep) = answer.keep {
        // nobody but the log can sign another
        assert_eq!(keep.checkpoint, head);
        assert!(witness.read_kept(&keep.note).is_ok(), "what is kept is believed");
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    drop(witness.read_kept(text));
    drop(Cosigner::parse(text));
    if let Ok(key) = WitnessKey::parse(text) {
        assert_eq!(key.to_string(), text.trim_end_matches('\n'), "a key is written in one way only");
    }
    if let Ok(found) = witness.cosigner().public().find(&format!("{head:?}\n"), text) {
        panic!("signed by nobody: {found:?}");
    }
}

/// SQL: statements, facts and what records show. Texts stay short and flat enough for any stack.
pub(crate) fn sql(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let limits = ParseLimits::default();
    drop(hoopctl::sql::record_text(text));
    if !hoopctl::sql::fits_small_stack(text, &limits) {
        return;
    }
    for statement in hoopctl::sql::parse(text, &limits).unwrap_or_default() {
        let facts = hoopctl::sql::facts(&statement);
        assert!(!facts.verb.is_empty(), "every statement has a verb");
        drop(hoopctl::sql::safe_text(&statement));
    }
}

/// Proofs of one session: whatever is believed was entered, also where the end was made to fit what stands before it.
pub(crate) fn proof_file(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines = text.rsplit_once("{\"end\"").map_or(&*text, |(lines, _)| lines);
    let (count, digest) = (lines.lines().count(), Digest::from_bytes(&Sha256::digest(lines).into()));
    let fitting = format!("{lines}{{\"end\":{{\"lines\":{count},\"sha256\":\"{digest}\"}}}}\n");
    for file in [data, fitting.as_bytes()] {
        let shown = ProofFile::open(file).and_then(|file| file.verify(signer().verifier(), &SignedReviews));
        match shown {
            Ok(shown) => {
                assert_eq!(shown.session, session(), "another session");
                assert!(shown.entries <= 5 && shown.chunks <= 1, "more than was entered: {shown:?}");
                assert!(!shown.story.is_counted() || shown.story.statements() == 1, "{shown:?}");
            }
            Err(error) => assert!(error.line > 0 && error.to_string().len() < 1000, "a refusal says why"),
        }
    }
}

/// Signed reviews: whatever opens was signed by a key that signs here, and says what that signed.
pub(crate) fn review(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(signed) = review::open(text) {
        assert_eq!(
            signed.device,
            dpop::DeviceKey::from_bytes(&REVIEWER).thumbprint(),
            "a key that nobody has"
        );
        assert!(reviews().contains(&signed.claims), "signed by nobody: {:?}", signed.claims);
    }
}

/// The types of the API.
pub(crate) fn control(data: &[u8]) {
    one_way_only::<control::AskSession>(data);
    one_way_only::<control::BrokerInfo>(data);
    one_way_only::<control::ConfirmDevice>(data);
    one_way_only::<control::Confirmation>(data);
    one_way_only::<control::EntryProof>(data);
    one_way_only::<control::LedgerHead>(data);
    one_way_only::<control::DeviceListing>(data);
    one_way_only::<control::Explanation>(data);
    one_way_only::<control::GiveReview>(data);
    one_way_only::<control::Listing<Session>>(data);
    one_way_only::<control::OpenSession>(data);
    one_way_only::<control::OpenedSession>(data);
    one_way_only::<control::PendingDevice>(data);
    one_way_only::<control::Problem>(data);
    one_way_only::<control::RecordingIndex>(data);
    one_way_only::<control::RequestView>(data);
    one_way_only::<control::StandingView>(data);
    one_way_only::<control::TargetSummary>(data);
    one_way_only::<control::TokenRequest>(data);
    one_way_only::<control::TokenResponse>(data);
    one_way_only::<control::WhoAmI>(data);
    one_way_only::<Device>(data);
    one_way_only::<Claims>(data);
}

/// What was read can be written, is read again from that, and is written the same.
fn one_way_only<T: Serialize + DeserializeOwned>(data: &[u8]) {
    let Ok(read) = serde_json::from_slice::<T>(data) else { return };
    let written = serde_json::to_string(&read).expect("what was read can be written");
    let again: T = serde_json::from_str(&written).expect("what was written can be read");
    let twice = serde_json::to_string(&again).expect("what was read can be written");
    assert_eq!(written, twice, "written again, it reads differently");
}

/// The reviews that mutations start from.
pub(crate) fn reviews() -> [Claims; 2] {
    let claims = Claims {
        request: RequestId::from_random([3; 16]),
        subject: Digest::from_bytes(&[4; 32]),
        reviewer: PrincipalId {
            provider: ProviderName::new("corp").expect("a name"),
            subject: Subject::new("bob").expect("a subject"),
        },
        decision: Decision::Approve,
        reason: None,
        standing: None,
        iat: 1_700_000_000,
    };
    [Claims { decision: Decision::Deny, reason: Some("not today, \u{e9}".into()), ..claims.clone() }, claims]
}

/// The seed of the key that signs them.
pub(crate) const REVIEWER: [u8; 32] = [8; 32];

/// Command lines: none is read-only and does something, and none hides what follows it.
pub(crate) fn shell(data: &[u8]) {
    use hoopctl::domain::facts::Effect;
    let judged = hoopctl::shell::judge(data, false).facts;
    assert!(!judged.read_only || judged.effects.is_empty(), "read-only is what does nothing");
    drop(hoopctl::shell::judge_line(data));
    let mut longer = data.to_vec();
    longer.extend_from_slice(b"\nrm -rf /");
    let after = hoopctl::shell::judge(&longer, false).facts.effects;
    let unjudged = judged.effects.contains(&Effect::Unjudged) || after.contains(&Effect::Unjudged);
    assert!(unjudged || after.contains(&Effect::DeleteTree), "what followed was not seen");
}

/// The key that signs the notes which mutations start from.
pub(crate) fn signer() -> Signer {
    Signer::new("ledger.example", &[7; 32]).expect("a name")
}

/// The key of the witness that mutations speak to.
pub(crate) fn cosigner() -> Cosigner {
    Cosigner::new("witness.example", &[8; 32]).expect("a name")
}

/// The session whose recording mutations start from.
pub(crate) fn session() -> SessionId {
    SessionId::from_random([7; 16])
}
