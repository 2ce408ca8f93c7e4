#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;
use crate::domain::name::{ProviderName, TargetName};
use crate::domain::principal::Subject;

/// Opens what it was told to.
struct Told(SignedReview);

impl Reviews for Told {
    fn open(&self, _: &str) -> Result<SignedReview, String> {
        Ok(self.0.clone())
    }
}

/// What was told so far of one request, which cannot be read because it was too long for an entry.
struct Ledger {
    approvals: Approvals,
    request: RequestId,
    session: SessionId,
}

impl Ledger {
    fn with(threshold: &str) -> Self {
        let (request, session) = (RequestId::from_random([1; 16]), SessionId::from_random([2; 16]));
        let mut ledger = Self { approvals: Approvals::default(), request, session };
        let filed = What::RequestFiled {
            request: ledger.request.clone(),
            target: TargetName::new("db").unwrap(),
            session: Some(ledger.session.clone()),
            subject: "?".repeat(CUT),
            digest: Digest::from_bytes(&[3; 32]),
            threshold: threshold.to_owned(),
            expires: at(1_000_000),
            kin: Vec::new(),
        };
        ledger.tell(0, filed).unwrap();
        ledger
    }

    fn tell(&mut self, number: usize, what: What) -> Result<(), ApprovalFault> {
        let actor =
            Actor { principal: who(number), device: None, address: "127.0.0.1".into(), host: "test".into() };
        let event = Event { at: at(1), actor: Some(actor), policy: Digest::from_bytes(&[0; 32]), what };
        let signed = SignedReview {
            device: device(number),
            request: self.request.clone(),
            subject: Digest::from_bytes(&[3; 32]),
            reviewer: who(number),
            decision: Decision::Approve,
            standing: Some(Standing { free: [].into(), seconds: 60 }),
        };
        self.approvals.tell(&event, &Told(signed))
    }

    /// Somebody in `corp/dba` approves, with a device of their own, and may be somebody else as well.
    fn approves(&mut self, number: usize, kin: Vec<Digest>) -> Result<(), ApprovalFault> {
        self.tell(number, What::DeviceEnrolled { device: device(number) })?;
        let given = What::ReviewGiven {
            request: self.request.clone(),
            decision: "approve".into(),
            groups: vec!["corp/dba".into()],
            kin,
            proof: String::new(),
        };
        self.tell(number, given)
    }

    fn released(&mut self) -> Result<(), ApprovalFault> {
        let what = What::RequestReleased { request: self.request.clone(), session: self.session.clone() };
        self.tell(0, what)
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn who(number: usize) -> PrincipalId {
    let subject = Subject::new(format!("person-{number}")).unwrap();
    PrincipalId { provider: ProviderName::new("corp").unwrap(), subject }
}

fn device(number: usize) -> DeviceId {
    let mut bytes = [0; 32];
    bytes.iter_mut().zip(number.to_le_bytes()).for_each(|(byte, digit)| *byte = digit);
    DeviceId::from_digest(&bytes)
}

#[test]
fn names_that_share_marks_by_way_of_others_are_one_person() {
    let mut ledger = Ledger::with("corp/dba:2");
    let [one, other] = [4, 5].map(|byte| Digest::from_bytes(&[byte; 32]));
    ledger.approves(1, vec![one.clone()]).unwrap();
    ledger.approves(2, vec![other.clone()]).unwrap();
    ledger.approves(3, vec![one, other]).unwrap();
    assert!(matches!(ledger.released(), Err(ApprovalFault::NotApproved { .. })));
    ledger.approves(4, Vec::new()).unwrap();
    ledger.released().unwrap();
}

#[test]
fn whoever_loses_a_device_takes_its_approval_along() {
    let mut ledger = Ledger::with("corp/dba:2");
    ledger.approves(1, Vec::new()).unwrap();
    ledger.approves(2, Vec::new()).unwrap();
    ledger.tell(9, What::DeviceRevoked { device: device(1) }).unwrap();
    let devices = &ledger.approvals.devices;
    assert!(devices.is_enrolled(&who(1), &device(1), at(1)), "what is entered at one moment may be apart");
    assert!(!devices.is_enrolled(&who(1), &device(1), at(60)));
    ledger.tell(1, What::DeviceEnrolled { device: device(1) }).unwrap();
    assert!(ledger.approvals.devices.is_enrolled(&who(1), &device(1), at(60)), "and is enrolled again");
}

/// Whoever writes a ledger to keep its readers busy pays for each entry as much as they do. What was quadratic before
/// took minutes here.
#[test]
fn a_ledger_that_is_written_to_be_slow_is_not() {
    let mut ledger = Ledger::with("corp/nobody:9");
    for number in 0..1200 {
        ledger.approves(number + 1, Vec::new()).unwrap();
    }
    assert_eq!(ledger.approvals.reviews(), 1200);
    assert!(matches!(ledger.released(), Err(ApprovalFault::NotApproved { .. })));
    for number in 0..20_000 {
        ledger.tell(number, What::DeviceEnrolled { device: device(0) }).unwrap();
        ledger.tell(number, What::DeviceRevoked { device: device(0) }).unwrap();
    }
    let devices = &ledger.approvals.devices;
    assert!((0..20_000).all(|number| !devices.is_enrolled(&who(number), &device(0), at(60))));
}
