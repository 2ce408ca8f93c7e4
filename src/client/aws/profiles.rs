//! The blocks of ours in a configuration of AWS that belongs to the user.
//!
//! Job: one marked part with a profile for each target, put in, replaced and taken out, leaving every other byte as it
//! is. Boundary: text in, text out. Failure mode: marks that do not pair are left alone, with an error.

use std::collections::BTreeMap;

use thiserror::Error;
use url::Url;

/// A profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The target.
    pub target: String,
    /// Its region.
    pub region: String,
    /// The program that prints credentials, as SDKs split it: by blanks, outside of double quotes.
    pub command: String,
    /// Where services are that are not AWS's own.
    pub endpoints: BTreeMap<String, Url>,
}

impl Profile {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> String {
        format!("hoop-{}", self.target)
    }
}

/// Why a file is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProfileError {
    /// The marks were edited.
    #[error("the lines `{BEGIN} …` and `{END}` do not pair; take them out, with what is between them")]
    Marks,
    /// Somebody else's profile has the name.
    #[error("there is a profile `{0}` already, which is not of hoopctl's")]
    Taken(String),
}

/// The text with these profiles in the part of ours; without any, the part is taken out.
///
/// # Errors
/// [`ProfileError`].
pub fn with(text: &str, profiles: &[Profile]) -> Result<String, ProfileError> {
    let outside = without(text)?;
    for profile in profiles {
        let name = profile.name();
        let header = |line: &str| {
            let inner = line.trim().strip_prefix('[').and_then(|line| line.split_once(']'));
            inner.is_some_and(|(inner, _)| inner.split_whitespace().eq(["profile", name.as_str()]))
        };
        if outside.lines().any(header) {
            return Err(ProfileError::Taken(name));
        }
    }
    if profiles.is_empty() {
        return Ok(outside);
    }
    let mut all = outside;
    if !all.is_empty() && !all.ends_with('\n') {
        all.push('\n');
    }
    if !all.is_empty() {
        // ours, and taken out again
        all.push('\n');
    }
    all.push_str(&part(profiles));
    Ok(all)
}

/// The part of ours.
#[must_use]
pub fn part(profiles: &[Profile]) -> String {
    let mut text = format!("{BEGIN} by `hoopctl aws-profile`; changes are lost\n");
    for profile in profiles {
        let (name, Profile { region, command, endpoints, .. }) = (profile.name(), profile);
        text.push_str(&format!("[profile {name}]\nregion = {region}\ncredential_process = {command}\n"));
        if !endpoints.is_empty() {
            // a bucket in the host's name may be no name there
            text.push_str(&format!(
                "services = {name}\ns3 =\n  addressing_style = path\n[services {name}]\n"
            ));
            for (service, url) in endpoints {
                let service = service.replace('-', "_");
                let url = url.as_str().trim_end_matches('/');
                text.push_str(&format!("{service} =\n  endpoint_url = {url}\n"));
            }
        }
        text.push('\n');
    }
    text.push_str(END);
    text.push('\n');
    text
}

/// A word of a command as SDKs split it; `None` where no spelling says it.
#[must_use]
pub fn word(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:@+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return Some(text.to_owned());
    }
    // botocore splits as a shell does, others only by double quotes; a comment may begin after a blank
    let quotable = |c: char| !c.is_control() && !"\"\\$`#;".contains(c);
    text.chars().all(quotable).then(|| format!("\"{text}\""))
}

fn without(text: &str) -> Result<String, ProfileError> {
    let mut kept = String::with_capacity(text.len());
    let mut inside = false;
    for line in text.split_inclusive('\n') {
        let begins = line.starts_with(BEGIN);
        let ends = line.trim_end() == END;
        match (inside, begins, ends) {
            (false, true, _) => {
                inside = true;
                // the blank line before it is ours
                if kept.ends_with("\n\n") {
                    kept.pop();
                }
            }
            (true, false, true) => inside = false,
            (true, true, _) | (false, _, true) => return Err(ProfileError::Marks),
            (true, false, false) => {}
            (false, false, false) => kept.push_str(line),
        }
    }
    if inside { Err(ProfileError::Marks) } else { Ok(kept) }
}

const BEGIN: &str = "# hoopctl: written";
const END: &str = "# hoopctl: end";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    fn profile(target: &str) -> Profile {
        Profile {
            target: target.into(),
            region: "eu-central-1".into(),
            command: format!("/usr/bin/hoopctl credentials {target}"),
            endpoints: BTreeMap::new(),
        }
    }

    #[test]
    fn every_other_byte_of_the_file_stays() {
        for before in ["", "[default]\nregion = us-east-1\n", "[default]\r\nregion = x", "# a\n\n\n"] {
            let once = with(before, &[profile("a"), profile("b")]).unwrap();
            assert_eq!(with(&once, &[profile("a"), profile("b")]).unwrap(), once, "twice is once");
            assert!(once.contains("[profile hoop-a]\nregion = eu-central-1\ncredential_process = /usr/bin/hoopctl credentials a\n"));
            let less = with(&once, &[profile("b")]).unwrap();
            assert!(!less.contains("hoop-a]") && less.contains("hoop-b]"), "{less}");
            let end = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
            assert_eq!(with(&less, &[]).unwrap(), format!("{before}{end}"), "{before:?}");
        }
    }

    #[test]
    fn a_profile_of_the_users_own_and_edited_marks_are_left_alone() {
        let taken = "[ profile  hoop-a ]\nregion = x\n";
        assert_eq!(with(taken, &[profile("a")]), Err(ProfileError::Taken("hoop-a".into())));
        for broken in
            [format!("{BEGIN}\n[profile x]\n"), format!("{END}\n"), format!("{BEGIN}\n{BEGIN}\n{END}\n")]
        {
            assert_eq!(with(&broken, &[]), Err(ProfileError::Marks), "{broken}");
        }
    }

    #[test]
    fn a_word_is_quoted_or_refused() {
        assert_eq!(word("/usr/bin/hoopctl").as_deref(), Some("/usr/bin/hoopctl"));
        assert_eq!(word("/home/a b/hoopctl").as_deref(), Some("\"/home/a b/hoopctl\""));
        assert_eq!(word("a\"b"), None);
        assert_eq!(word("a\nb"), None);
    }
}
