//! The SQL that a masked value is computed with.
//!
//! `$1` stands for the column and occurs once. Every function, operator and type is written with its
//! schema, and no syntax is used that looks an operator up by itself (`IN`, `CASE x WHEN`), so that no
//! search path can give these texts another meaning. Names that start with `hoopctl_` are ours.

use crate::domain::name::TargetName;
use crate::domain::planted::{Leak, is_planted};

/// A constant of the type; NULL where the type has no neutral value.
pub(super) fn full(type_schema: &str, type_name: &str) -> &'static str {
    if type_schema != "pg_catalog" {
        return "NULL";
    }
    match type_name {
        "text" | "varchar" | "bpchar" | "name" => "'[masked]'",
        "int2" | "int4" | "int8" | "numeric" | "float4" | "float8" | "money" | "oid" => "'0'",
        "bool" => "'false'",
        "date" => "'1970-01-01'",
        "timestamp" => "'1970-01-01 00:00:00'",
        "timestamptz" => "'1970-01-01 00:00:00+00'",
        "time" => "'00:00:00'",
        "timetz" => "'00:00:00+00'",
        "uuid" => "'00000000-0000-0000-0000-000000000000'",
        "json" | "jsonb" => "'\"[masked]\"'",
        "bytea" => "'\\x'",
        "inet" => "'0.0.0.0'",
        "cidr" => "'0.0.0.0/32'",
        "macaddr" => "'00:00:00:00:00:00'",
        _ if type_name.starts_with('_') => "'{}'",
        _ => "NULL",
    }
}

/// Whether the type holds text of which a part can be kept.
pub(super) fn is_text(type_schema: &str, type_name: &str) -> bool {
    type_schema == "pg_catalog" && matches!(type_name, "text" | "varchar" | "bpchar")
}

/// Four stars, whatever the length, and the last characters: `keep_last`, but at most half.
pub(super) fn partial(keep_last: u16) -> String {
    format!(
        "(SELECT '****'::pg_catalog.text OPERATOR(pg_catalog.||) pg_catalog.\"right\"(hoopctl_v.v, \
         LEAST({keep_last}, pg_catalog.length(hoopctl_v.v) OPERATOR(pg_catalog./) 2)) \
         FROM (SELECT ($1)::pg_catalog.text AS v OFFSET 0) AS hoopctl_v)"
    )
}

/// A keyed hash of the value's text: `tok_` and the first 32 hexadecimal digits of HMAC-SHA-256 (RFC 2104).
///
/// The key stays in a table of the broker's that only the owner of its views may read, as the two padded
/// blocks, so that what is hashed with it needs no function that a session could call. The blocks are read
/// once per statement. Nothing here can fail: the text is hashed in the database's own encoding.
pub(super) fn token(target: &TargetName) -> String {
    let block = |name: &str| {
        format!(
            "(SELECT hoopctl_k.{name} FROM hoopctl.key AS hoopctl_k \
             WHERE hoopctl_k.target OPERATOR(pg_catalog.=) {}::pg_catalog.text)",
            literal(target.as_str())
        )
    };
    format!(
        "'{TOKEN}'::pg_catalog.text OPERATOR(pg_catalog.||) pg_catalog.\"left\"(pg_catalog.encode(pg_catalog.sha256(\
         {outer} OPERATOR(pg_catalog.||) pg_catalog.sha256({inner} OPERATOR(pg_catalog.||) \
         pg_catalog.convert_to(($1)::pg_catalog.text, pg_catalog.getdatabaseencoding()))), 'hex'), {DIGITS})",
        outer = block("opad"),
        inner = block("ipad"),
    )
}

/// The characters of a token.
pub(super) const TOKEN_WIDTH: u32 = 4 + DIGITS;
const DIGITS: u32 = 32;
const TOKEN: &str = "tok_";

/// The JSON members to be masked in one document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Members {
    /// Keys that are masked at any depth.
    pub(super) anywhere: Vec<String>,
    /// Members of members, from the document's root. An array on the way stands for each of its elements.
    pub(super) paths: Vec<Vec<String>>,
}

/// The document with its members masked; `json` columns go through `jsonb`.
pub(super) fn members(members: &Members, is_json: bool) -> String {
    let mut text = if is_json { binary() } else { "($1)::pg_catalog.jsonb".to_owned() };
    for path in &members.paths {
        text = along(&text, path);
    }
    if !members.anywhere.is_empty() {
        text = anywhere(&text, &members.anywhere);
    }
    let mut keys = members.paths.iter().flatten().chain(&members.anywhere);
    if is_json && keys.any(|key| !key.is_ascii()) {
        // such a key may be written as escapes, which are replaced there
        return format!("(CASE WHEN {} THEN {text} ELSE {MASKED} END)", is_utf8());
    }
    text
}

fn is_utf8() -> String {
    "(pg_catalog.getdatabaseencoding() OPERATOR(pg_catalog.=) 'UTF8'::pg_catalog.name)".into()
}

/// A `json` document as `jsonb`, which holds less: not the character zero, no half of a surrogate pair, no number
/// beyond `numeric`, and outside of UTF-8 no character that the database's encoding lacks. An error or another form
/// would tell of members that are to be masked, so what cannot be held is replaced where it stands, each by itself:
/// characters by U+FFFD or `?`, numbers by null.
fn binary() -> String {
    let concat = "OPERATOR(pg_catalog.||)";
    // JSON text has no such character, so it can stand for something else meanwhile
    let mark = "pg_catalog.chr(1)";
    let all = |text: &str, pattern: &str, by: &str| {
        format!("pg_catalog.regexp_replace({text}, {}, {by}, 'g')", literal(pattern))
    };
    let replaced = |text: &str, what: &str, by: &str| format!("pg_catalog.replace({text}, {what}, {by})");
    let has = |pattern: &str| format!("(hoopctl_t.v OPERATOR(pg_catalog.~) {})", literal(pattern));
    // a whole string, or a number that is too long: only the string is put back
    let numbers = all("hoopctl_t.v", ODD_NUMBERS, &format!("'\\1' {concat} {mark}"));
    let numbers = replaced(&numbers, &format!("'\"' {concat} {mark}"), "'\"'");
    let numbers = replaced(&numbers, mark, "'null'");
    // it takes long, and changes nothing elsewhere
    let numbers = format!("CASE WHEN {} THEN {numbers} ELSE hoopctl_t.v END", has(MAYBE_ODD_NUMBERS));
    let pairs = all(
        "hoopctl_n.v",
        &escaped(PAIR),
        &format!("'\\1' {concat} {mark} {concat} '\\2' {concat} {mark} {concat} '\\3'"),
    );
    let unicode = replaced(&all(&pairs, &escaped(LONE), "'\\1\\\\ufffd'"), mark, "'\\u'");
    let other = all("hoopctl_n.v", &escaped(FOREIGN), "'\\1?'");
    let has_escapes = "(pg_catalog.strpos(hoopctl_n.v, '\\u') OPERATOR(pg_catalog.>) 0)";
    format!(
        "(SELECT (CASE WHEN NOT {has_escapes} THEN hoopctl_n.v WHEN {} THEN {unicode} ELSE {other} END)::pg_catalog.jsonb \
         FROM (SELECT {numbers} AS v FROM (SELECT ($1)::pg_catalog.text AS v OFFSET 0) AS hoopctl_t OFFSET 0) AS hoopctl_n)",
        is_utf8()
    )
}

const MAYBE_ODD_NUMBERS: &str = r"(^|[[:space:][,:])-?[0-9.]+[eE][-+]?[0-9]{4}|[0-9]{255}";
/// More than 254 digits on a side of the point, or more than three in the exponent.
const ODD_NUMBERS: &str = concat!(
    r#"("(?:[^"\\]|\\.)*")"#,
    r"|-?[0-9]+(?:\.[0-9]+)?[eE][-+]?[0-9]{4,}",
    r"|-?[0-9]{255}[0-9]*(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?",
    r"|-?[0-9]+\.[0-9]{255}[0-9]*(?:[eE][-+]?[0-9]+)?"
);
const PAIR: &str = r"([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})";
const LONE: &str = r"(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2})";
const FOREIGN: &str = r"(?:0000|(?!00[0-7])[0-9a-fA-F]{4})";

/// An escape with these digits: behind an even number of backslashes, which are the first group.
fn escaped(digits: &str) -> String {
    format!(r"(?<!\\)((?:\\\\)*)\\u{digits}")
}

/// Masks the member that a path leads to. Mostly there is no array on the way; where there is, it stands for each of its
/// elements.
fn along(document: &str, path: &[String]) -> String {
    let value = "hoopctl_p.v";
    let behind = |keys: &[String]| match keys {
        [] => value.to_owned(),
        _ => format!("pg_catalog.jsonb_extract_path({value}, {})", literals(keys)),
    };
    let arrays: Vec<String> =
        (0..path.len()).map(|count| is(&behind(path.get(..count).unwrap_or_default()), "array")).collect();
    format!(
        "(SELECT CASE WHEN {arrays} THEN {elements} WHEN {is_object} THEN {set} ELSE {value} END FROM {document})",
        arrays = arrays.join(" OR "),
        elements = through_arrays(value, path, 0),
        is_object = is(value, "object"),
        set = with_masked(value, path),
        document = once(document, "hoopctl_p"),
    )
}

/// The same, where arrays are on the way. A document that is no array is handled as an array of one; an array in an array
/// on the way is masked whole.
fn through_arrays(document: &str, path: &[String], level: usize) -> String {
    let Some((key, rest)) = path.split_first() else { return document.into() };
    let key = literal(key);
    let (value, element) = (format!("hoopctl_{level}.v"), format!("hoopctl_e{level}.v"));
    let masked = match rest {
        [] => MASKED.to_owned(),
        _ => through_arrays(&format!("pg_catalog.jsonb_extract_path({element}, {key})"), rest, level + 1),
    };
    format!(
        "(SELECT CASE WHEN hoopctl_r{level}.v IS NULL THEN NULL WHEN hoopctl_r{level}.many THEN hoopctl_r{level}.a \
         ELSE pg_catalog.jsonb_extract_path(hoopctl_r{level}.a, '0') END FROM (\
         SELECT {value}, {is_array} AS many, (SELECT COALESCE(pg_catalog.jsonb_agg(CASE WHEN {element_is_object} \
         AND pg_catalog.jsonb_exists({element}, {key}) THEN pg_catalog.jsonb_set({element}, \
         ARRAY[{key}]::pg_catalog._text, {masked}, false) WHEN {element_is_array} THEN {MASKED} \
         ELSE {element} END ORDER BY hoopctl_e{level}.n), '[]'::pg_catalog.jsonb) \
         FROM pg_catalog.jsonb_array_elements(CASE WHEN {is_array} THEN {value} \
         ELSE pg_catalog.jsonb_build_array({value}) END) WITH ORDINALITY AS hoopctl_e{level}(v, n)) AS a \
         FROM (SELECT {document} AS v OFFSET 0) AS hoopctl_{level} OFFSET 0) AS hoopctl_r{level})",
        is_array = is(&value, "array"),
        element_is_object = is(&element, "object"),
        element_is_array = is(&element, "array"),
    )
}

/// Masks every member of these names at any depth. What is masked is not descended into. Mostly they are not far below: then
/// nothing has to be walked through.
fn anywhere(document: &str, keys: &[String]) -> String {
    let value = "hoopctl_d.v";
    format!(
        "(SELECT CASE WHEN {here} THEN COALESCE({near}, (SELECT CASE WHEN pg_catalog.bool_and(hoopctl_n.v IS NOT NULL) \
         THEN pg_catalog.jsonb_object_agg(hoopctl_n.key, hoopctl_n.v) END FROM (SELECT hoopctl_m.key, \
         CASE WHEN {named} THEN {MASKED} WHEN {below} THEN {member} ELSE hoopctl_m.v END AS v FROM pg_catalog.jsonb_each(\
         CASE WHEN {is_object} THEN {value} END) AS hoopctl_m(key, v) OFFSET 0) AS hoopctl_n), {walked}) \
         ELSE {value} END FROM {document})",
        here = holds(value, keys),
        near = near(value, keys),
        named = is_one_of("hoopctl_m.key", keys),
        below = holds("hoopctl_m.v", keys),
        member = near("hoopctl_m.v", keys),
        is_object = is(value, "object"),
        walked = walked(value, keys),
        document = once(document, "hoopctl_d"),
    )
}

/// A document that holds such members, masked, if all are its own or those of the elements of an array; else NULL.
fn near(value: &str, keys: &[String]) -> String {
    let element = "hoopctl_e.v";
    let deeper = |value: &str| {
        // what an object has beside them
        let rest =
            format!("pg_catalog.jsonb_delete({value}, VARIADIC ARRAY[{}]::pg_catalog._text)", literals(keys));
        let (rest, whole) = (holds(&rest, keys), holds(value, keys));
        format!("(CASE WHEN {} THEN {rest} ELSE {whole} END)", is(value, "object"))
    };
    let own = |value: &str| {
        let mask = |text: String, key| with_masked(&text, std::slice::from_ref(key));
        let set = keys.iter().fold(value.to_owned(), mask);
        format!("CASE WHEN {} THEN {set} ELSE {value} END", is(value, "object"))
    };
    format!(
        "CASE WHEN NOT {deeper} THEN {own} WHEN {is_array} THEN (SELECT CASE WHEN NOT pg_catalog.bool_or({element_deeper}) \
         THEN pg_catalog.jsonb_agg({element_own} ORDER BY hoopctl_e.n) END FROM pg_catalog.jsonb_array_elements(\
         CASE WHEN {is_array} THEN {value} END) WITH ORDINALITY AS hoopctl_e(v, n)) END",
        deeper = deeper(value),
        own = own(value),
        is_array = elements(value),
        element_deeper = deeper(element),
        element_own = own(element),
    )
}

/// A first recursion collects the members and where they are, a second replaces one after the other.
fn walked(document: &str, keys: &[String]) -> String {
    format!(
        "(WITH RECURSIVE hoopctl_walk(path, v) AS (\
         SELECT '{{}}'::pg_catalog._text, {document} UNION ALL \
         SELECT pg_catalog.array_append(hoopctl_w.path, hoopctl_c.key), hoopctl_c.v FROM hoopctl_walk AS hoopctl_w \
         CROSS JOIN LATERAL (SELECT hoopctl_o.key, hoopctl_o.v FROM pg_catalog.jsonb_each(\
         CASE WHEN {is_object} THEN hoopctl_w.v END) AS hoopctl_o(key, v) WHERE NOT ({named}) UNION ALL \
         SELECT (hoopctl_a.n OPERATOR(pg_catalog.-) 1)::pg_catalog.text, hoopctl_a.v FROM pg_catalog.jsonb_array_elements(\
         CASE WHEN {is_array} THEN hoopctl_w.v END) WITH ORDINALITY AS hoopctl_a(v, n)) AS hoopctl_c(key, v) \
         WHERE {holds}), \
         hoopctl_hit(n, path) AS MATERIALIZED (SELECT pg_catalog.row_number() OVER (), \
         pg_catalog.array_append(hoopctl_w.path, hoopctl_k.k) FROM hoopctl_walk AS hoopctl_w \
         CROSS JOIN pg_catalog.unnest(ARRAY[{list}]::pg_catalog._text) AS hoopctl_k(k) \
         WHERE {is_object} AND pg_catalog.jsonb_exists(hoopctl_w.v, hoopctl_k.k)), \
         hoopctl_fold(n, v) AS (SELECT 0::pg_catalog.int8, {document} UNION ALL \
         SELECT hoopctl_h.n, pg_catalog.jsonb_set(hoopctl_f.v, hoopctl_h.path, {MASKED}, false) \
         FROM hoopctl_fold AS hoopctl_f INNER JOIN hoopctl_hit AS hoopctl_h \
         ON hoopctl_h.n OPERATOR(pg_catalog.=) (hoopctl_f.n OPERATOR(pg_catalog.+) 1)) \
         SELECT hoopctl_f.v FROM hoopctl_fold AS hoopctl_f ORDER BY hoopctl_f.n DESC LIMIT 1)",
        named = is_one_of("hoopctl_o.key", keys),
        holds = holds("hoopctl_c.v", keys),
        list = literals(keys),
        is_object = is("hoopctl_w.v", "object"),
        is_array = elements("hoopctl_w.v"),
    )
}

fn is_one_of(key: &str, keys: &[String]) -> String {
    let same = keys.iter().map(|name| format!("({key} OPERATOR(pg_catalog.=) {})", literal(name)));
    same.collect::<Vec<_>>().join(" OR ")
}

/// Whether a value is an array to be descended into.
fn elements(value: &str) -> String {
    if is_planted(Leak::Elements) { "false".into() } else { is(value, "array") }
}

/// Whether a member of these names is in a document, at any depth.
fn holds(document: &str, keys: &[String]) -> String {
    let exists = keys.iter().map(|key| {
        let path = literal(&format!("$.**.\"{key}\""));
        format!("pg_catalog.jsonb_path_exists({document}, {path}::pg_catalog.jsonpath)")
    });
    exists.collect::<Vec<_>>().join(" OR ")
}

/// An object with the member that this path of objects leads to, if it does, masked.
fn with_masked(object: &str, path: &[String]) -> String {
    format!("pg_catalog.jsonb_set({object}, ARRAY[{}]::pg_catalog._text, {MASKED}, false)", literals(path))
}

/// A document as the column `v` of one row. Each function would read a stored document from its pages again, and
/// unpack it; no members of it are all of it, unpacked.
fn once(document: &str, name: &str) -> String {
    format!(
        "(SELECT pg_catalog.jsonb_extract_path({document}, VARIADIC '{{}}'::pg_catalog._text) AS v OFFSET 0) AS {name}"
    )
}

fn is(value: &str, kind: &str) -> String {
    format!("(pg_catalog.jsonb_typeof({value}) OPERATOR(pg_catalog.=) '{kind}'::pg_catalog.text)")
}

fn literals(texts: &[String]) -> String {
    texts.iter().map(|text| literal(text)).collect::<Vec<_>>().join(", ")
}

/// A text as an SQL literal; `standard_conforming_strings` is pinned to on.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

const MASKED: &str = "'\"[masked]\"'::pg_catalog.jsonb";
