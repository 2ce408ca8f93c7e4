//! A pipeline of the pages, run as the platform that it is for would run it.
//!
//! What is emulated: variables and expressions, the token of the job, the folder of a checkout, one shell for each step
//! (GitHub: `bash -e`; GitLab: all lines of `script` in one). What is not: containers, caches, the platform itself.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::runner::Play;
use crate::support::cached;

/// Runs the jobs of a pipeline.
pub(super) async fn run(play: &mut Play<'_>, platform: &str, text: &str) -> Result<(), String> {
    let text = play.setting.stands_in(text);
    let document = parse(&text)?;
    let steps = match platform {
        "workflow" => workflow(&document),
        "gitlab" => gitlab(&document),
        "kubernetes" => kubernetes(&document),
        other => Err(format!("there is no platform `{other}`; see tests/it/docs/page.rs")),
    }?;
    if steps.is_empty() {
        return Err("the pipeline runs nothing".into());
    }
    let provider = &play.setting.stage.provider;
    let token = match platform {
        "workflow" => String::new(),
        shape => provider.mint(json!({ "shape": shape })).await,
    };
    let runner = provider.github_job();
    let home = play.machine("ci").await.home().to_owned();
    let file = home.join("runner/token");
    std::fs::write(&file, &token).expect("a file");
    for step in steps {
        let mut script = String::new();
        for (name, value) in &step.variables {
            let value = match value.as_str() {
                // where the projected token is mounted
                "kubernetes" => format!("kubernetes:{}", file.display()),
                value => value.replace("/tmp/", &format!("{}/", home.display())),
            };
            if value.contains("${{") {
                return Err(format!("`{value}` is not known here"));
            }
            writeln!(script, "export {name}='{value}'").expect("text");
        }
        for token_of in &step.tokens {
            writeln!(script, "export {token_of}='{token}'").expect("text");
        }
        if step.may_ask {
            for (name, value) in &runner {
                writeln!(script, "export {name}='{value}'").expect("text");
            }
        }
        let inner = home.join("step");
        std::fs::write(&inner, &step.run).expect("a file");
        writeln!(script, "bash -e '{}'", inner.display()).expect("text");
        let played = play.run("ci", &script).await?;
        if played.code != 0 {
            return Err(format!("the step ends with {}\n{}\n{}", played.code, step.run, played.said));
        }
    }
    Ok(())
}

struct Step {
    variables: Vec<(String, String)>,
    /// Variables that hold the job's token.
    tokens: Vec<String>,
    /// Whether it may ask the runner for one.
    may_ask: bool,
    run: String,
}

/// GitHub: jobs, each with steps that `run` or `use`.
fn workflow(document: &Value) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    for job in document["jobs"].as_object().ok_or("a workflow without jobs")?.values() {
        for step in job["steps"].as_array().ok_or("a job without steps")? {
            let Some(run) = step["run"].as_str() else {
                let uses = step["uses"].as_str().unwrap_or_default();
                if uses.starts_with("actions/checkout@") {
                    continue;
                }
                return Err(format!("`{uses}` cannot be run here"));
            };
            let mut variables = Vec::new();
            for scope in [document, job, step] {
                variables.extend(strings(&scope["env"]));
            }
            let may_ask = job["permissions"]["id-token"] == "write";
            let run = run.to_owned();
            steps.push(Step { variables, tokens: Vec::new(), may_ask, run });
        }
    }
    Ok(steps)
}

/// GitLab: jobs at the top, each with a `script` and `id_tokens`.
fn gitlab(document: &Value) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    for job in document.as_object().ok_or("not a pipeline")?.values() {
        let Some(script) = job["script"].as_array() else { continue };
        let lines: Vec<&str> = script.iter().filter_map(Value::as_str).collect();
        let mut variables = strings(&document["variables"]);
        variables.extend(strings(&job["variables"]));
        let tokens = job["id_tokens"].as_object().map(|tokens| tokens.keys().cloned().collect());
        steps.push(Step {
            variables,
            tokens: tokens.unwrap_or_default(),
            may_ask: false,
            run: lines.join("\n"),
        });
    }
    Ok(steps)
}

/// Kubernetes: the containers of a Job or of a CronJob, with a projected token.
fn kubernetes(document: &Value) -> Result<Vec<Step>, String> {
    let job = if document["kind"] == "CronJob" { &document["spec"]["jobTemplate"] } else { document };
    let pod = &job["spec"]["template"]["spec"];
    let projected = pod["volumes"].as_array().is_some_and(|volumes| {
        volumes
            .iter()
            .any(|volume| volume["projected"]["sources"][0]["serviceAccountToken"]["audience"].is_string())
    });
    if !projected {
        return Err("a job without a projected token of an audience of its own".into());
    }
    let mut steps = Vec::new();
    for container in pod["containers"].as_array().ok_or("no containers")? {
        let words = container["command"]
            .as_array()
            .into_iter()
            .flatten()
            .chain(container["args"].as_array().into_iter().flatten());
        let words: Vec<String> = words
            .filter_map(Value::as_str)
            .map(|word| format!("'{}'", word.replace('\'', "'\\''")))
            .collect();
        let named = container["env"].as_array().into_iter().flatten();
        let variables = named
            .filter_map(|pair| Some((pair["name"].as_str()?.to_owned(), pair["value"].as_str()?.to_owned())))
            .collect();
        steps.push(Step { variables, tokens: Vec::new(), may_ask: false, run: words.join(" ") });
    }
    Ok(steps)
}

fn strings(value: &Value) -> Vec<(String, String)> {
    let pairs = value.as_object().into_iter().flatten();
    pairs.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// YAML as the platforms read it.
fn parse(text: &str) -> Result<Value, String> {
    let python = cached("ssh/python", "ssh").join("bin/python");
    let program = "import json, sys, yaml; print(json.dumps(yaml.load(sys.stdin, yaml.BaseLoader)))";
    let mut child = Command::new(python)
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python runs");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    serde_json::from_slice(&output.stdout).map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())
}
