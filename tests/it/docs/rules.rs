//! Configuration and policy of a page: what the program says of them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::page::{Block, Page};
use super::runner::Play;

/// Checks a block of TOML or Cedar.
pub(super) async fn check(play: &mut Play<'_>, page: &Page, block: &Block) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a folder");
    if block.language == "cedar" {
        let file = folder.path().join("policy.cedar");
        fs::write(&file, &block.text).expect("a file");
        return ends(play, &format!("hoopctl policy check {}", file.display())).await;
    }
    if block.text.contains("[[case]]") {
        return cases(play, page, block, folder.path()).await;
    }
    let own = block.note("file").is_some();
    let folder = if own { play.desk.path().to_owned() } else { folder.path().to_owned() };
    let file =
        if own { folder.join(block.note("file").unwrap_or_default()) } else { folder.join("broker.toml") };
    if !own {
        props(&folder);
        fs::write(&file, framed(&block.text)).expect("a file");
    } else if file.extension().is_none_or(|extension| extension != "toml") || !block.text.contains("[broker]")
    {
        return Ok(());
    } else {
        // what the page writes only afterwards
        return Ok(());
    }
    ends(play, &format!("hoopctl broker check --config {}", file.display())).await
}

/// Judges the cases below a heading by the rules below it.
async fn cases(play: &mut Play<'_>, page: &Page, block: &Block, folder: &Path) -> Result<(), String> {
    let below = page.blocks.iter().filter(|other| other.heading == block.heading && other.line < block.line);
    let (mut rules, mut policy) = (String::new(), String::new());
    for other in below {
        match other.language.as_str() {
            "cedar" => rules.push_str(&other.text),
            "toml" if other.text.contains("[policy]") => policy.clone_from(&other.text),
            _ => {}
        }
    }
    let base = page.blocks.iter().find(|block| block.note("frame") == Some("base"));
    let base = base.map_or(BASE, |block| &block.text);
    if policy.is_empty() {
        policy = match rules.as_str() {
            "" => "[policy]\npresets = [\"allow-statements\", \"destructive-sql\", \"dangerous-shell\"]\n"
                .into(),
            _ => "[policy]\npresets = [\"allow-statements\"]\nfiles = [\"policy.cedar\"]\n".into(),
        };
    }
    props(folder);
    fs::write(folder.join("policy.cedar"), rules).expect("a file");
    fs::write(folder.join("broker.toml"), framed(&format!("{policy}\n{base}"))).expect("a file");
    fs::write(folder.join("cases.toml"), &block.text).expect("a file");
    let (config, file) = (folder.join("broker.toml"), folder.join("cases.toml"));
    ends(play, &format!("hoopctl policy test --config {} {}", config.display(), file.display())).await
}

async fn ends(play: &mut Play<'_>, command: &str) -> Result<(), String> {
    let played = play.run("operator", command).await?;
    if played.code == 0 { Ok(()) } else { Err(played.said) }
}

/// Files that configurations of the pages name.
fn props(folder: &Path) {
    fs::write(folder.join("policy.cedar"), "").expect("a file");
    let document = r#"{"openapi": "3.1.0", "info": {"title": "billing", "version": "1"}, "paths": {}}"#;
    fs::write(folder.join("billing.json"), document).expect("a file");
}

/// A fragment with what it lacks to be a configuration.
fn framed(text: &str) -> String {
    let has = |table: &str| text.lines().any(|line| line.trim_start().starts_with(table));
    let mut whole = String::new();
    if !has("[broker]") {
        whole.push_str(
            "[broker]\ndata_dir = \"data\"\nlisten = \"127.0.0.1:7443\"\npublic_url = \"https://127.0.0.1:7443\"\n",
        );
    }
    if !has("[[provider]]") {
        let groups = groups(text);
        writeln!(
            whole,
            "[[provider]]\nname = \"corp\"\nissuer = \"https://login.example.com\"\nclient_id = \"hoopctl\"\ngroups = {groups:?}"
        )
        .expect("text");
    }
    if !has("[policy]") && !has("[[case]]") {
        whole.push_str("[policy]\npresets = [\"allow-statements\"]\n");
    }
    whole.push_str(text);
    whole
}

/// The groups of the provider `corp` that a text speaks of.
fn groups(text: &str) -> Vec<&str> {
    let named = text.split("corp/").skip(1);
    let mut groups: Vec<&str> = named
        .filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next())
        .collect();
    groups.extend(["dba", "dev", "oncall"]);
    groups.sort_unstable();
    groups.dedup();
    groups
}

/// The targets that pages speak of, where a page does not say it itself.
const BASE: &str = r#"
[[target]]
name = "db"
protocol = "postgres"
host = "localhost"
database = "app"
tls = "disable"
owner = "corp/dba"
[target.issuer]
kind = "static"
user = "app"
password = { env = "DB_PASSWORD" }
[[target]]
name = "billing-api"
protocol = "http"
base = "https://api.internal/v1"
[target.issuer]
kind = "none"
[[target]]
name = "bastion"
protocol = "ssh"
host = "bastion.internal"
login = "deploy"
owner = "corp/dba"
host_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGDYqEXLSFJ4rjfb1CzgNUMT/JFlpU7dqDeFDhFHhqZM"]
[target.issuer]
kind = "ssh-certificate"
"#;
