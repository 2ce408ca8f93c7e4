//! What types of PostgreSQL hold, by their OIDs, which are the same in every database (`pg_type.dat`).

/// What values of a type hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Address,
    Json,
    /// JSON with a version before it in binary.
    Jsonb,
    /// No text: numbers, dates, identifiers, shapes, bits; also arrays and ranges of them. And `bytea`.
    Number,
    /// Types that are defined in the database, and those that have others in them.
    Other,
    /// The same in text and in binary.
    Text,
}

pub(super) fn kind(type_oid: u32) -> Kind {
    match type_oid {
        // name, text, xml, unknown, bpchar, varchar, cstring, refcursor
        19 | 25 | 142 | 705 | 1042 | 1043 | 2275 | 1790 => Kind::Text,
        114 => Kind::Json,
        3802 => Kind::Jsonb,
        // inet, cidr
        869 | 650 => Kind::Address,
        _ if NUMBERS.binary_search(&type_oid).is_ok() => Kind::Number,
        _ => Kind::Other,
    }
}

/// In order: bool, bytea, "char", int8, int2, int2vector, int4, oid, tid, xid, cid, oidvector; xid8 and arrays; point,
/// lseg, path, box, polygon, line; float4, float8, circle, macaddr8, money, macaddr; arrays; dates and times; numeric,
/// bits, uuid, pg_lsn, snapshots; ranges and multiranges of numbers and dates.
const NUMBERS: &[u32] = &[
    16, 17, 18, 20, 21, 22, 23, 26, 27, 28, 29, 30, 271, 600, 601, 602, 603, 604, 628, 700, 701, 718, 774,
    790, 791, 829, 1000, 1005, 1006, 1007, 1016, 1017, 1021, 1022, 1028, 1082, 1083, 1114, 1115, 1182, 1183,
    1184, 1185, 1186, 1187, 1231, 1266, 1270, 1560, 1561, 1562, 1563, 1700, 2278, 2950, 2951, 2970, 3220,
    3221, 3904, 3906, 3908, 3910, 3912, 3926, 4451, 4532, 4533, 4534, 4535, 4536, 5038, 5069,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_can_be_searched() {
        assert!(NUMBERS.is_sorted(), "binary search needs order");
        assert_eq!(
            (kind(23), kind(25), kind(1009), kind(0)),
            (Kind::Number, Kind::Text, Kind::Other, Kind::Other)
        );
    }
}
