use super::*;

#[test]
fn fields_that_stand_for_methods_are_known() {
    for name in ["_method", "_METHOD", "$httpMethod", "X-HTTP-Method-Override", " _method "] {
        assert!(is_override(name), "{name}");
    }
    for name in ["method", "payment_method", "http", "_methods"] {
        assert!(!is_override(name), "{name}");
    }
}

/// A form of parts may be as long as a film, so it is read while it passes, however it is cut.
#[test]
fn parts_that_ask_for_another_method_are_found_as_they_pass() {
    let body = |line: &str| {
        format!(
            "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n_method\r\n--x\r\n{line}\r\n\r\nDELETE\r\n--x--\r\n"
        )
    };
    let found = |body: &str, size: usize| {
        let mut parts = Parts::default();
        let found = body.as_bytes().chunks(size).any(|piece| parts.feed(piece));
        found || parts.finish()
    };
    for line in [
        "Content-Disposition: form-data; name=\"_method\"",
        "content-disposition:form-data;name=_METHOD",
        "Content-Disposition: form-data;\r\n name=\"_method\"",
        "Content-Disposition: form-data; name = \"_me\\thod\"",
        "Content-Disposition: form-data; name=\"%5Fmethod\"",
        "Content-Disposition: form-data; name*=utf-8''_method",
        "Content-Disposition: form-data; name=\"$httpMethod\"; filename=x",
    ] {
        for size in [1, 3, 4096] {
            assert!(found(&body(line), size), "{line} in pieces of {size}");
        }
    }
    for line in ["Content-Disposition: form-data; name=\"method\"", "X: name=\"_method\"", "_method"] {
        assert!(!found(&body(line), 4096), "{line}");
    }
}
