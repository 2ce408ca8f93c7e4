//! What is to be found.

use super::Dice;
use super::noise::{BASE62, NAMES, SURNAMES, UPPER, WORDS};

/// A value of this name and the detector that is to find it; `None` where the name is another's.
pub(super) fn value(name: &str, dice: &mut Dice) -> Option<(&'static str, String)> {
    Some(match name {
        "email" => ("email", email(dice)),
        "card" => ("card", card(dice, true)),
        "bare-card" => ("card", card(dice, false)),
        "iban" => ("iban", iban(dice, true)),
        "bare-iban" => ("iban", iban(dice, false)),
        "ssn" => ("ssn", ssn(dice)),
        "phone" => ("phone", phone(dice)),
        "bare-phone" => ("phone", bare_phone(dice)),
        "ip" => ("ip", ip(dice)),
        "aws" => (
            "aws-key",
            format!("{}{}", dice.of(&["AKIA", "ASIA"]), dice.word("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)),
        ),
        "aws-secret" => ("aws-key", dice.word(&format!("{BASE62}+/"), 40)),
        "key" => ("api-key", key(dice)),
        "jwt" => ("jwt", jwt(dice)),
        "pem" => ("private-key", pem(dice, "\n")),
        "json-pem" => ("private-key", pem(dice, "\\n")),
        _ => return None,
    })
}

fn email(dice: &mut Dice) -> String {
    let (name, surname) = (*dice.of(NAMES), *dice.of(SURNAMES));
    let (lower, surname) = (name.to_ascii_lowercase(), surname.to_ascii_lowercase());
    let initial = lower.chars().next().unwrap_or('x');
    let local = match dice.below(7) {
        0 => format!("{lower}.{surname}"),
        1 => format!("{initial}{surname}"),
        2 => format!("{lower}_{surname}{}", dice.below(100)),
        3 => format!("{lower}+{}", dice.of(WORDS)),
        4 => format!("{name}.{surname}"),
        5 => format!("{surname}-{initial}"),
        _ => format!("{lower}{}", 1950 + dice.below(60)),
    };
    let domain = dice.of(&[
        "gmail.com",
        "example.org",
        "example.co.uk",
        "mail.example.net",
        "acme.io",
        "uni-bonn.de",
        "corp.example.com",
        "yahoo.fr",
        "outlook.com",
        "students.example.edu",
        "shop24.example.museum",
        "EXAMPLE.COM",
        "proton.me",
        "x-ray.dev",
        "example.app",
    ]);
    format!("{local}@{domain}")
}

/// Numbers with the prefixes and lengths of networks, and the right check digit.
fn card(dice: &mut Dice, grouped: bool) -> String {
    let (prefix, length) = *dice.of(&[
        ("4", 16),
        ("4", 16),
        ("4", 13),
        ("51", 16),
        ("53", 16),
        ("55", 16),
        ("2221", 16),
        ("2720", 16),
        ("34", 15),
        ("37", 15),
        ("6011", 16),
        ("65", 16),
        ("3530", 16),
        ("36", 14),
        ("305", 14),
        ("62", 16),
        ("62", 19),
        ("5018", 16),
    ]);
    let mut digits = format!("{prefix}{}", dice.digits(length - 1 - prefix.len()));
    digits.push(luhn(&digits));
    let separator = if grouped { *dice.of(&["", " ", "-"]) } else { "" };
    if separator.is_empty() {
        return digits;
    }
    let groups: &[usize] = if length == 15 { &[4, 6, 5] } else { &[4, 4, 4, 4, 4] };
    let mut rest = digits.as_str();
    let mut parts = Vec::new();
    for group in groups {
        let (part, after) = rest.split_at((*group).min(rest.len()));
        parts.push(part);
        rest = after;
    }
    parts.retain(|part| !part.is_empty());
    parts.join(separator)
}

/// The digit that is missing.
pub(super) fn luhn(digits: &str) -> char {
    let sum: u32 = digits
        .chars()
        .rev()
        .filter_map(|digit| digit.to_digit(10))
        .enumerate()
        .map(|(at, digit)| if at % 2 == 0 { digit * 2 / 10 + digit * 2 % 10 } else { digit })
        .sum();
    char::from_digit((10 - sum % 10) % 10, 10).unwrap_or('0')
}

fn iban(dice: &mut Dice, grouped: bool) -> String {
    // of the account number: `#` a digit, `A` a letter, `C` either
    let (country, shape) = *dice.of(&[
        ("DE", "##################"),
        ("DE", "##################"),
        ("FR", "##########CCCCCCCCCCC##"),
        ("GB", "AAAA##############"),
        ("NL", "AAAA##########"),
        ("ES", "####################"),
        ("IT", "A##########CCCCCCCCCCCC"),
        ("CH", "#####CCCCCCCCCCCC"),
        ("AT", "################"),
        ("BE", "############"),
        ("PL", "########################"),
        ("SE", "####################"),
        ("NO", "###########"),
        ("DK", "##############"),
        ("FI", "##############"),
        ("PT", "#####################"),
        ("IE", "AAAA##############"),
        ("CZ", "####################"),
        ("SA", "##CCCCCCCCCCCCCCCCCC"),
        ("TR", "######CCCCCCCCCCCCCCCC"),
    ]);
    let account: String = shape
        .chars()
        .map(|mark| match mark {
            '#' => dice.digits(1),
            'A' => dice.word(UPPER, 1),
            _ => dice.word("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", 1),
        })
        .collect();
    let text = format!("{country}{:02}{account}", 98 - remainder(&format!("{account}{country}00")));
    if grouped && dice.below(2) == 0 {
        return text.as_bytes().chunks(4).map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ");
    }
    text
}

/// MOD 97-10.
pub(super) fn remainder(text: &str) -> u32 {
    text.chars()
        .filter_map(|character| character.to_digit(36))
        .fold(0, |sum, value| if value < 10 { (sum * 10 + value) % 97 } else { (sum * 100 + value) % 97 })
}

fn ssn(dice: &mut Dice) -> String {
    let area = loop {
        let area = 1 + dice.below(899);
        if area != 666 {
            break area;
        }
    };
    let (group, serial) = (1 + dice.below(99), 1 + dice.below(9999));
    let separator = dice.of(&["-", "-", "-", " ", ""]);
    format!("{area:03}{separator}{group:02}{separator}{serial:04}")
}

fn phone(dice: &mut Dice) -> String {
    let area = *dice.of(AREAS);
    let shape = dice.of(&[
        "+1 @ %##-####",
        "+1@%######",
        "+1-@-%##-####",
        "(@) %##-####",
        "@-%##-####",
        "@.%##.####",
        "1-@-%##-####",
        "@ %## ####",
        "+44 20 7### ####",
        "+44 77## ######",
        "020 7### ####",
        "077## ######",
        "+44 (0)20 7### ####",
        "(020) 7### ####",
        "+49 30 %######",
        "030 %######",
        "0171 %######",
        "+49 (0)89 %######",
        "0049 30 %######",
        "030/%######",
        "+49171%######",
        "+33 6 12 ## ## ##",
        "06 12 ## ## ##",
        "01 42 ## ## ##",
        "+33 1 42 ## ## ##",
        "+91 98### #####",
        "98### #####",
        "+55 11 98###-####",
        "(11) 98###-####",
        "+972 54-%##-####",
        "054-%##-####",
        "+34 612 ### ###",
        "+81 90-%###-####",
        "+41 44 668 ## ##",
        "+61 4## ### ###",
    ]);
    dice.shaped(shape).replace('@', area)
}

fn bare_phone(dice: &mut Dice) -> String {
    let area = *dice.of(AREAS);
    let shape = dice.of(&["@%######", "@%######", "077########", "0171%######", "06########", "98########"]);
    dice.shaped(shape).replace('@', area)
}

fn ip(dice: &mut Dice) -> String {
    let byte = |dice: &mut Dice| dice.below(256);
    let group = |dice: &mut Dice| format!("{:x}", dice.below(0x10000));
    match dice.below(8) {
        0 => format!("10.{}.{}.{}", byte(dice), byte(dice), byte(dice)),
        1 => format!("192.168.{}.{}", byte(dice), byte(dice)),
        2 => format!("2001:db8:{}::{:x}", group(dice), 1 + dice.below(0xffff)),
        3 => format!("fe80::{}:{}:{}:{}", group(dice), group(dice), group(dice), group(dice)),
        4 => format!(
            "2a02:{}",
            (0..7).map(|_| format!("{:04x}", dice.below(0x10000))).collect::<Vec<_>>().join(":")
        ),
        _ => format!("{}.{}.{}.{}", 1 + dice.below(223), byte(dice), byte(dice), byte(dice)),
    }
}

fn key(dice: &mut Dice) -> String {
    match dice.below(11) {
        0 => format!("ghp_{}", dice.word(BASE62, 36)),
        1 => format!("github_pat_{}_{}", dice.word(BASE62, 22), dice.word(BASE62, 59)),
        2 => format!("xoxb-{}-{}-{}", dice.digits(12), dice.digits(13), dice.word(BASE62, 24)),
        3 => format!("sk_live_{}", dice.word(BASE62, 24)),
        4 => format!("rk_live_{}", dice.word(BASE62, 24)),
        5 => format!("glpat-{}", dice.word(&format!("{BASE62}_-"), 20)),
        6 => format!("AIza{}", dice.word(&format!("{BASE62}_-"), 35)),
        7 => format!("npm_{}", dice.word(BASE62, 36)),
        8 => format!("hf_{}", dice.word(BASE62, 34)),
        9 => format!("sk-proj-{}", dice.word(&format!("{BASE62}_-"), 74)),
        _ => format!("ghs_{}", dice.word(BASE62, 36)),
    }
}

fn jwt(dice: &mut Dice) -> String {
    let url = format!("{BASE62}_-");
    let head = *dice.of(&[
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
        "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ",
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9",
    ]);
    let claims = 60 + dice.below(200);
    format!("{head}.eyJ{}.{}", dice.word(&url, claims), dice.word(&url, 43))
}

fn pem(dice: &mut Dice, end: &str) -> String {
    let kind = *dice.of(&["RSA ", "EC ", "OPENSSH ", "", "ENCRYPTED "]);
    let lines: Vec<String> = (0..3 + dice.below(10)).map(|_| dice.word(&format!("{BASE62}+/"), 64)).collect();
    let lines = lines.join(end);
    format!("-----BEGIN {kind}PRIVATE KEY-----{end}{lines}{end}-----END {kind}PRIVATE KEY-----")
}

/// Of North America, given out.
const AREAS: &[&str] = &[
    "212", "415", "312", "206", "617", "305", "702", "503", "404", "713", "602", "416", "604", "514", "919",
    "512", "408", "916", "703", "267",
];
