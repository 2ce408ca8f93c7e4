#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use bytes::BytesMut;

use super::*;

/// Finds `X…X`, and numbers of nine digits where the field's name tells.
#[derive(Debug)]
struct Crosses;

impl Finder for Crosses {
    fn find(&self, text: &[u8], hint: Hint) -> Vec<Range<usize>> {
        if hint == Hint(1) && text.len() == 9 && text.iter().all(u8::is_ascii_digit) {
            return std::iter::once(0..9).collect();
        }
        let places: Vec<usize> = (0..text.len()).filter(|at| text.get(*at) == Some(&b'X')).collect();
        let ends = |pair: &[usize]| Some(*pair.first()?..*pair.last()? + 1);
        places.chunks(2).filter(|pair| pair.len() == 2).filter_map(ends).collect()
    }

    fn hint(&self, name: &str) -> Hint {
        Hint(u8::from(name == "ssn"))
    }

    fn is_whole(&self, text: &[u8]) -> bool {
        text == b"whole"
    }

    fn json(&self, text: &[u8]) -> Found {
        match self.find(text, Hint::default()).is_empty() {
            true => Found::Nothing,
            false => Found::Instead(b"{}".to_vec()),
        }
    }

    fn hides_addresses(&self) -> bool {
        true
    }
}

fn veil() -> Veil {
    Veil::new(Arc::new(Crosses))
}

fn covered(type_oid: u32, format: i16, value: &[u8]) -> Found {
    veil().cover(veil().look("c", type_oid, format), value)
}

fn instead(text: &str) -> Found {
    Found::Instead(text.as_bytes().to_vec())
}

#[test]
fn texts_stay_texts_and_literals_of_parts_can_still_be_read() {
    assert_eq!(covered(25, 0, b"a XsX b"), instead("a [masked] b"));
    assert_eq!(covered(25, 1, b"a XsX b"), instead("a [masked] b"));
    assert_eq!(covered(25, 0, b"nothing"), Found::Nothing);
    assert_eq!(covered(1009, 0, b"{XsX,b}"), instead("{[masked],b}"));
    // what reaches over several elements leaves as many
    assert_eq!(covered(1009, 0, b"{\"a X\",b,\"c X\"}"), instead("{\"a [masked]\",[masked],\"[masked]\"}"));
    assert_eq!(
        covered(1009, 0, b"{whole,\"whole\",the whole}"),
        instead("{[masked],\"[masked]\",the whole}")
    );
    // a type of the database's own
    assert_eq!(covered(99_999, 0, b"(1,\"a XsX\")"), instead("(1,\"a [masked]\")"));
    assert_eq!(covered(23, 0, b"XX"), Found::Nothing, "no text can be there");
    assert_eq!(covered(114, 0, b"\"XX\""), instead("{}"));
    assert_eq!(covered(3802, 1, b"\x01\"XX\""), instead("\x01{}"));
    let telling = veil().look("ssn", 25, 0);
    assert_eq!(veil().cover(telling, b"123456789"), instead("[masked]"));
    assert_eq!(covered(25, 0, b"123456789"), Found::Nothing);
}

#[test]
fn escapes_are_looked_through_at_any_depth() {
    assert_eq!(covered(25, 0, br#"{"a":"b \u0058s\u0058 c"}"#), instead(r#"{"a":"b [masked] c"}"#));
    assert_eq!(covered(25, 0, br#"{\\u0058s\\u0058}"#), instead("{[masked]}"));
    assert_eq!(covered(25, 0, br"a \ b \u00zz \"), Found::Nothing);
    assert_eq!(covered(25, 0, br"Xs\u0058"), instead("[masked]"));
}

#[test]
fn an_address_stays_an_address() {
    assert_eq!(covered(869, 0, b"10.1.2.3/8"), instead("0.0.0.0"));
    let cidr = [2, 8, 1, 4, 10, 0, 0, 0];
    assert_eq!(covered(650, 1, &cidr), Found::Instead(vec![2, 32, 1, 4, 0, 0, 0, 0]));
}

/// An array of texts in binary, and a row with it inside.
#[test]
fn arrays_and_rows_in_binary_keep_their_elements() {
    let array = |elements: &[Option<&[u8]>]| {
        let mut out = BytesMut::new();
        for word in [1, 1, 25, u32::try_from(elements.len()).unwrap(), 1] {
            out.put_u32(word);
        }
        elements.iter().for_each(|element| put_value(&mut out, *element));
        out.to_vec()
    };
    let row = |first: &[u8]| {
        let mut out = BytesMut::new();
        out.put_u32(2);
        out.put_u32(1009);
        put_value(&mut out, Some(first));
        out.put_u32(23);
        put_value(&mut out, Some(b"XXXX"));
        out.to_vec()
    };
    let clear = array(&[Some(b"plain"), None, Some(b"a XsX"), Some(b"")]);
    let shown = array(&[Some(b"plain"), None, Some(b"a [masked]"), Some(b"")]);
    assert_eq!(covered(1009, 1, &clear), Found::Instead(shown.clone()));
    assert_eq!(covered(99_999, 1, &row(&clear)), Found::Instead(row(&shown)));
    assert_eq!(covered(1009, 1, &array(&[Some(b"plain")])), Found::Nothing);
    // a text of a type of the database's own
    assert_eq!(covered(99_999, 1, b"XsX"), instead("[masked]"));
    // something else: whatever is found there cannot be replaced
    assert_eq!(covered(99_999, 1, b"\0\0\0\x05XsssX\xff"), Found::Null);
    assert_eq!(covered(99_999, 1, b"\0\0\0\x05sssss\xff"), Found::Nothing);
    for cut in 0..clear.len() {
        drop(covered(1009, 1, clear.get(..cut).unwrap()));
    }
}

#[test]
fn rows_of_copy_keep_their_columns() {
    let shown = |record: &[u8]| veil().record(record, None).map(|shown| String::from_utf8(shown).unwrap());
    assert_eq!(shown(b"1\tXsX\t\\N\n").unwrap(), "1\t[masked]\t\\N\n");
    assert_eq!(shown(b"1,\"a X\",\"X\"\r\n").unwrap(), "1,\"a [masked]\",\"[masked]\"\r\n");
    assert_eq!(shown(b"1\t2\n"), None);
    // what is found where it is all of a value, is found where it is all of a column
    assert_eq!(shown(b"1\twhole\tnot whole\n").unwrap(), "1\t[masked]\tnot whole\n");
    assert_eq!(shown(b"\"whole\",X,whole,X\n").unwrap(), "\"[masked]\",[masked],[masked],[masked]\n");
}
