//! What detectors find of what there is in labelled rows, and how much of what they find is there.

use std::collections::BTreeMap;

use hoopctl::mask::document::{Detector, Detectors};

use self::corpus::{Label, Sample};

mod corpus;

/// Recall and precision of each detector by itself, which no change may bring below these. A label is found when every letter and
/// digit of it is covered.
const FLOORS: &[(Detector, f64, f64)] = &[
    (Detector::ApiKey, 0.995, 0.98),
    (Detector::AwsKey, 0.995, 0.99),
    (Detector::Card, 0.995, 0.93),
    (Detector::Email, 0.995, 0.99),
    (Detector::Iban, 0.995, 0.98),
    (Detector::Ip, 0.995, 0.99),
    (Detector::Jwt, 0.995, 0.99),
    (Detector::Phone, 0.99, 0.97),
    (Detector::PrivateKey, 0.995, 0.99),
    (Detector::Ssn, 0.99, 0.98),
];

#[test]
fn detectors_find_what_is_labelled_and_little_else() {
    let samples = corpus::samples(corpus::REPORTED, 4_000);
    let mut failed = Vec::new();
    for (detector, least_recall, least_precision) in FLOORS {
        let score = score(*detector, &samples);
        assert!(score.labels > 30, "{} has too few labels to say anything", detector.as_str());
        let (recall, precision) = (score.recall(), score.precision());
        crate::idle::say(&format!("{}: recall {recall:.4}, precision {precision:.4}", detector.as_str()));
        if recall < *least_recall || precision < *least_precision {
            failed.push(format!("{}: recall {recall:.4}, precision {precision:.4}", detector.as_str()));
        }
    }
    assert_eq!(failed, Vec::<String>::new());
    let named: Vec<_> = FLOORS.iter().map(|(detector, _, _)| *detector).collect();
    assert_eq!(named, Detector::ALL, "each detector has its floors");
}

/// All together find what each finds by itself: none takes another's place and leaves a part of it.
#[test]
fn detectors_together_leave_nothing_that_one_alone_finds() {
    let all = Detectors::new(&Detector::ALL, &[]).unwrap();
    let mut shown = Vec::new();
    for sample in corpus::samples(corpus::REPORTED + 1, 2_000) {
        let places = found(&all, &sample);
        shown.extend(sample.labels.iter().filter(|label| !is_covered(&sample, label, &places)).map(
            |label| {
                format!("{}: {}", label.kind, sample.text.get(label.start..label.end).unwrap_or_default())
            },
        ));
    }
    assert_eq!(shown, Vec::<String>::new());
}

/// The corpus is what its page says: the same for everybody, with labels that are what they say.
#[test]
fn the_corpus_is_drawn_from_its_seed() {
    let samples = corpus::samples(7, 400);
    assert_eq!(samples, corpus::samples(7, 400));
    assert_ne!(samples, corpus::samples(8, 400));
    let plain = samples.iter().filter(|sample| sample.labels.is_empty()).count();
    assert!((120..280).contains(&plain), "about half hold nothing: {plain}");
    let mut kinds = BTreeMap::new();
    for sample in samples.iter().chain(&corpus::unseen(7, 400)) {
        for label in &sample.labels {
            assert!(label.start < label.end && label.end <= sample.text.len());
            *kinds.entry(label.kind).or_insert(0) += 1;
        }
    }
    let names: Vec<_> = Detector::ALL.map(Detector::as_str).into();
    assert!(names.iter().all(|name| kinds.contains_key(name)), "{kinds:?}");
}

struct Score {
    labels: usize,
    covered: usize,
    found: usize,
    right: usize,
}

impl Score {
    fn recall(&self) -> f64 {
        self.covered as f64 / self.labels as f64
    }

    fn precision(&self) -> f64 {
        self.right as f64 / self.found.max(1) as f64
    }
}

fn score(detector: Detector, samples: &[Sample]) -> Score {
    let detectors = Detectors::new(&[detector], &[]).unwrap();
    let mut score = Score { labels: 0, covered: 0, found: 0, right: 0 };
    for sample in samples {
        let places = found(&detectors, sample);
        let is_of_it = |label: &&Label| label.kind == detector.as_str();
        for label in sample.labels.iter().filter(is_of_it) {
            score.labels += 1;
            score.covered += usize::from(is_covered(sample, label, &places));
        }
        for place in places {
            score.found += 1;
            let overlaps = |label: &Label| label.start < place.end && place.start < label.end;
            score.right += usize::from(sample.labels.iter().filter(is_of_it).any(overlaps));
        }
    }
    score
}

/// As the product looks: a field with its column's name, any other text as it is.
fn found(detectors: &Detectors, sample: &Sample) -> Vec<std::ops::Range<usize>> {
    match &sample.column {
        Some(column) => detectors.find_value(sample.text.as_bytes(), detectors.named_by(column)),
        None => detectors.find(&sample.text),
    }
}

fn is_covered(sample: &Sample, label: &Label, places: &[std::ops::Range<usize>]) -> bool {
    let value = sample.text.get(label.start..label.end).unwrap_or_default();
    (label.start..)
        .zip(value.bytes())
        .filter(|(_, byte)| byte.is_ascii_alphanumeric())
        .all(|(at, _)| places.iter().any(|place| place.contains(&at)))
}
