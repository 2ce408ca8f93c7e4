//! The pages a person meets: enter a code, be somebody, answer. No script, nothing from elsewhere.

use super::DemoUser;

/// Whether a passcode is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Locked(pub(super) bool);

/// Asks for a code.
pub(super) fn enter_code(note: &str) -> String {
    let note = escape(note);
    frame(&format!(
        "<h1>Sign in a device</h1><p>{note}</p>\
         <form method=\"get\" action=\"/device\"><label>Code <input name=\"user_code\" autofocus \
         autocomplete=\"off\" maxlength=\"16\"></label> <button>Next</button></form>"
    ))
}

/// Asks who is there and what they say; `locked` asks for the passcode as well.
pub(super) fn confirm(user_code: &str, csrf: &str, users: &[DemoUser], locked: Locked) -> String {
    let (user_code, csrf) = (escape(user_code), escape(csrf));
    let choices: String = users
        .iter()
        .enumerate()
        .map(|(at, user)| {
            let name = escape(&user.name);
            let groups: Vec<&str> = user.groups.iter().map(String::as_str).collect();
            let groups = if groups.is_empty() { "no groups".to_owned() } else { escape(&groups.join(", ")) };
            let checked = if at == 0 { " checked" } else { "" };
            format!(
                "<label><input type=\"radio\" name=\"user\" value=\"{name}\"{checked}> <b>{name}</b> ({groups})</label><br>"
            )
        })
        .collect();
    let lock = match locked {
        Locked(true) => {
            "<p><label>Passcode that the demo has printed <input name=\"passcode\" type=\"password\" \
             autocomplete=\"off\" maxlength=\"64\"></label></p>"
        }
        Locked(false) => "",
    };
    frame(&format!(
        "<h1>Sign in a device</h1><p>Does the device that you want to sign in show <b><code>{user_code}</code></b>? \
         If not, deny.</p><form method=\"post\" action=\"/device\">\
         <input type=\"hidden\" name=\"csrf\" value=\"{csrf}\">\
         <input type=\"hidden\" name=\"user_code\" value=\"{user_code}\">{choices}{lock}\
         <p><button name=\"decision\" value=\"approve\">Approve</button> \
         <button name=\"decision\" value=\"deny\">Deny</button></p></form>"
    ))
}

/// Says how it ended.
pub(super) fn done(title: &str, text: &str) -> String {
    frame(&format!("<h1>{}</h1><p>{}</p>", escape(title), escape(text)))
}

fn frame(body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>hoopctl demo sign-in</title>\
         <style>body{{font:1rem/1.6 system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem;\
         color-scheme:light dark}}button,input{{font:inherit;padding:.3rem .8rem}}\
         small{{opacity:.7}}</style></head><body>{body}\
         <hr><small>This provider belongs to the hoopctl demo. It answers this machine only.\
         </small></body></html>"
    )
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}
