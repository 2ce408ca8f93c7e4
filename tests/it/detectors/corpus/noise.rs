//! What is not to be found, and may look as if it were.

use super::Dice;
use super::values::{luhn, remainder};

/// Something of this name.
///
/// # Panics
/// When nothing has this name: a shape is wrong.
pub(super) fn noise(name: &str, dice: &mut Dice) -> String {
    match name {
        "word" => (*dice.of(WORDS)).to_owned(),
        "words" => (0..4 + dice.below(8)).map(|_| *dice.of(WORDS)).collect::<Vec<_>>().join(" "),
        "name" => (*dice.of(NAMES)).to_owned(),
        "surname" => (*dice.of(SURNAMES)).to_owned(),
        "city" => (*dice.of(CITIES)).to_owned(),
        "n" => dice.below(1000).to_string(),
        "id" => (1 + dice.below(9_999_999)).to_string(),
        "order" => format!("1{}", dice.digits(9)),
        "nine" => format!("1{}", dice.digits(8)),
        "long" => order(dice),
        "amount" => format!("{}.{:02}", dice.below(10_000), dice.below(100)),
        "thousands" => format!("{},{:03}.{:02}", 1 + dice.below(99), dice.below(1000), dice.below(100)),
        "zip" => dice.digits(5),
        "zip4" => format!("{}-{}", dice.digits(5), dice.digits(4)),
        "date" => date(dice),
        "time" => time(dice),
        "stamp" => format!("{}T{}.{:03}Z", date(dice), time(dice), dice.below(1000)),
        "sql-time" => format!("{} {}.{:06}+00", date(dice), time(dice), dice.below(1_000_000)),
        "clf" => format!("{:02}/Nov/2026:{} +0000", 1 + dice.below(28), time(dice)),
        "epoch" => format!("17{}", dice.digits(8)),
        "epoch-ms" => format!("17{}", dice.digits(11)),
        "epoch-us" => format!("17{}", dice.digits(14)),
        "snowflake" => format!("1{}", dice.digits(18)),
        "uuid" => {
            let parts: Vec<String> = [8, 4, 4, 4, 12].map(|length| dice.word(HEX, length)).into();
            parts.join("-")
        }
        "md5" => dice.word(HEX, 32),
        "sha1" => dice.word(HEX, 40),
        "sha256" => dice.word(HEX, 64),
        "short-sha" => dice.word(HEX, 7),
        "base64" => {
            let length = 40 + dice.below(80);
            format!("{}==", dice.word(&format!("{BASE62}+/"), length))
        }
        "version" => format!("{}.{}.{}", dice.below(20), dice.below(40), dice.below(30)),
        "version4" => {
            format!("{}.0.{}.{}", 100 + dice.below(30), 1000 + dice.below(8000), 1 + dice.below(200))
        }
        "version5" => format!(
            "{}.{}.{}.{}.{}",
            dice.below(9),
            dice.below(9),
            dice.below(30),
            dice.below(9),
            dice.below(99)
        ),
        "oid" => format!("1.3.6.1.4.1.{}.{}.{}", dice.below(9999), dice.below(99), dice.below(9)),
        "bad-ip" => {
            format!("{}.{}.{}.{}", 256 + dice.below(700), dice.below(256), dice.below(256), dice.below(256))
        }
        "part" => dice.shaped("5##-##-####"),
        "iban-like" => iban_like(dice),
        "code" => format!("{}{}-{}", dice.word(UPPER, 2), dice.digits(6), dice.word(UPPER, 3)),
        "isbn" => dice.shaped("978-3-16-1#####-#"),
        "tracking" => dice.shaped("1Z 9## AA1 ## #### ####"),
        "local" => dice.shaped("%##-####"),
        "mac" => (0..6).map(|_| dice.word(HEX, 2)).collect::<Vec<_>>().join(":"),
        "coordinates" => {
            format!("{}.{}, {}.{}", dice.below(90), dice.digits(6), dice.below(180), dice.digits(6))
        }
        "path" => format!("/{}/{}/{}.rs", dice.of(WORDS), dice.of(WORDS), dice.of(WORDS)),
        "host" => format!("{}-{}.internal", dice.of(WORDS), dice.below(40)),
        "placeholder" => (*dice.of(PLACEHOLDERS)).to_owned(),
        "constraint" => format!(
            "{}_{}_{}_{}_key",
            dice.of(&["pk", "sk", "rk"]),
            dice.of(WORDS),
            dice.of(WORDS),
            dice.of(WORDS)
        ),
        "package" => format!("{}@{}.{}.{}", dice.of(WORDS), dice.below(20), dice.below(20), dice.below(20)),
        "handle" => format!("@{}_{}", dice.of(WORDS), dice.below(99)),
        "agent" => format!(
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.{}.{} Safari/537.36",
            100 + dice.below(40),
            1000 + dice.below(8000),
            dice.below(200)
        ),
        other => panic!("no shape knows <{other}>"),
    }
}

/// Sixteen digits whose check digit is wrong, in one of the ways in which people write them.
fn order(dice: &mut Dice) -> String {
    let digits = format!("{}{}", dice.of(&["4", "5", "3", "6", "9"]), dice.digits(14));
    let right = luhn(&digits).to_digit(10).unwrap_or(0);
    let wrong = (right + 1 + u32::try_from(dice.below(9)).unwrap_or(0)) % 10;
    let digits = format!("{digits}{wrong}");
    if dice.below(3) == 0 {
        return digits.as_bytes().chunks(4).map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ");
    }
    digits
}

/// With the right form, and the wrong checksum.
fn iban_like(dice: &mut Dice) -> String {
    let account = dice.digits(18);
    let right = 98 - remainder(&format!("{account}DE00"));
    format!("DE{:02}{account}", 2 + (right - 2 + 1 + u32::try_from(dice.below(95)).unwrap_or(0)) % 97)
}

fn date(dice: &mut Dice) -> String {
    format!("20{:02}-{:02}-{:02}", 10 + dice.below(20), 1 + dice.below(12), 1 + dice.below(28))
}

fn time(dice: &mut Dice) -> String {
    format!("{:02}:{:02}:{:02}", dice.below(24), dice.below(60), dice.below(60))
}

pub(super) const BASE62: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
pub(super) const HEX: &str = "0123456789abcdef";
pub(super) const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
pub(super) const NAMES: &[&str] = &[
    "Alice", "Bob", "Carla", "Dmitri", "Elena", "Farid", "Grace", "Hiro", "Ines", "Jonas", "Kofi", "Lena",
    "Mateo", "Nadia", "Omar", "Priya", "Quentin", "Rosa", "Sven", "Tara",
];
pub(super) const SURNAMES: &[&str] = &[
    "Anders", "Brown", "Costa", "Dubois", "Evans", "Fischer", "Garcia", "Haddad", "Ito", "Jensen", "Kumar",
    "Lopez", "Moreau", "Novak", "Okafor", "Petrov", "Quinn", "Rossi", "Schmidt", "Tanaka",
];
const CITIES: &[&str] =
    &["Berlin", "Lyon", "Leeds", "Austin", "Porto", "Osaka", "Recife", "Pune", "Haifa", "Toronto"];
pub(super) const WORDS: &[&str] = &[
    "account",
    "added",
    "awaiting",
    "backup",
    "batch",
    "billing",
    "cache",
    "called",
    "cart",
    "checkout",
    "closed",
    "customer",
    "deadline",
    "decade",
    "delivery",
    "discount",
    "email",
    "error",
    "face",
    "feed",
    "gateway",
    "handler",
    "import",
    "index",
    "invoice",
    "item",
    "job",
    "ledger",
    "login",
    "message",
    "missing",
    "notice",
    "offer",
    "order",
    "paid",
    "parcel",
    "payment",
    "pending",
    "pool",
    "queue",
    "refund",
    "report",
    "retry",
    "return",
    "saved",
    "schema",
    "search",
    "sent",
    "session",
    "shipped",
    "slow",
    "stock",
    "summary",
    "task",
    "ticket",
    "token",
    "trace",
    "update",
    "upload",
    "user",
    "wallet",
    "warehouse",
    "week",
    "worker",
];
const PLACEHOLDERS: &[&str] = &[
    "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "AKIAXXXXXXXXXXXXXXXX",
    "sk-your-secret-key-goes-here",
    "xoxb-your-token",
    "sk_live_...",
    "<jwt>",
    "eyJ...",
    "AIzaSy...",
    "-----BEGIN CERTIFICATE-----",
    "glpat-XXXXXXXXXXXXXXXXXXXX",
];
