//! A pipeline of the pages, run as the platform that it is for would run it.
//!
//! What is emulated: the variables of the platform and no others, its expressions, the token of the job, the folder of a
//! checkout, what one step leaves for the next (`GITHUB_PATH`), one shell for each step (GitHub: `bash -e`, in a container
//! `sh -e`; GitLab: all lines of `script` in one). `hoopctl` is there only in jobs that bring an image, and the pages say that
//! it has to be in it. What is not: containers, caches, the platform itself. A projected token lies in another folder.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::runner::Play;
use crate::support::cached;
use crate::support::provider::Provider;

/// Runs the jobs of a pipeline.
pub(super) async fn run(play: &mut Play<'_>, platform: &str, text: &str) -> Result<(), String> {
    let text = play.setting.stands_in(text).replace("sha256:…", &play.setting.stage.broker.pin());
    let document = if platform == "cron" { Value::Null } else { parse(&text)? };
    let jobs = match platform {
        "cron" => crontab(&text),
        "workflow" => workflow(&document),
        "gitlab" => gitlab(&document),
        "kubernetes" => kubernetes(&document),
        other => Err(format!("there is no platform `{other}`; see tests/it/docs/page.rs")),
    }?;
    if jobs.iter().all(|job| job.steps.is_empty()) {
        return Err("the pipeline runs nothing".into());
    }
    for job in jobs {
        let runner = Runner::new(play, platform, &job).await;
        for step in &job.steps {
            runner.run(&job, step).await?;
        }
    }
    Ok(())
}

struct Job {
    /// Whether it brings an image of its own, which the pages tell to have `hoopctl` in it.
    image: bool,
    /// Variables that hold the job's token.
    tokens: Vec<String>,
    /// Whether it may ask the runner for one.
    may_ask: bool,
    shell: &'static [&'static str],
    steps: Vec<Step>,
}

struct Step {
    variables: Vec<(String, String)>,
    run: String,
}

/// The machine that a job gets: nothing on it but what its platform puts there.
struct Runner {
    folder: tempfile::TempDir,
    checkout: PathBuf,
    /// Where the page says that `hoopctl` is, or has it installed.
    bin: PathBuf,
    path: String,
    variables: Vec<(String, String)>,
    token: String,
}

impl Runner {
    async fn new(play: &Play<'_>, platform: &str, job: &Job) -> Self {
        let provider = &play.setting.stage.provider;
        let folder = tempfile::Builder::new().prefix("hoopctl-runner-").tempdir().expect("a folder");
        let checkout = play.desk.path().to_owned();
        let mut path = SYSTEM.to_owned();
        if job.image {
            path = format!("{}:{path}", play.setting.bin().display());
        }
        let token = match platform {
            "cron" | "workflow" => String::new(),
            shape => provider.mint(json!({ "shape": shape })).await,
        };
        fs::write(folder.path().join("token"), &token).expect("a file");
        let variables = match platform {
            "workflow" => github(folder.path(), &checkout, provider, job.may_ask),
            "gitlab" => gitlab_variables(folder.path(), &checkout),
            "cron" => cron(folder.path()),
            // neither a home nor anything else
            _ => vec![("KUBERNETES_SERVICE_HOST".to_owned(), "10.0.0.1".to_owned())],
        };
        Self { folder, checkout, bin: play.setting.bin(), path, variables, token }
    }

    async fn run(&self, job: &Job, step: &Step) -> Result<(), String> {
        let script = self.folder.path().join("script");
        fs::write(&script, step.run.replace("/srv/app", &self.checkout.display().to_string()))
            .expect("a file");
        let (program, arguments) = job.shell.split_first().expect("a shell");
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).arg(&script).env_clear().current_dir(&self.checkout).kill_on_drop(true);
        command.env("PATH", self.path()).stdin(Stdio::null());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        for (name, value) in &step.variables {
            if value.contains("${{") {
                return Err(format!("`{value}` is not known here"));
            }
            command.env(name, self.expanded(value));
        }
        command.envs(job.tokens.iter().map(|name| (name, &self.token)));
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        let output = output.map_err(|_| format!("the step does not end\n{}", step.run))?.expect("a shell");
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        Err(format!("the step ends with {}\n{}\n{said}", output.status, step.run))
    }

    /// What earlier steps put before it is first.
    fn path(&self) -> String {
        let added = fs::read_to_string(self.folder.path().join("path")).unwrap_or_default();
        added.lines().fold(self.path.clone(), |path, folder| format!("{folder}:{path}"))
    }

    /// A value with GitLab's variables, and where a projected token is mounted here.
    fn expanded(&self, value: &str) -> String {
        if value == "kubernetes" {
            return format!("kubernetes:{}", self.folder.path().join("token").display());
        }
        // a container's own, and a user's
        let own = format!("{}/", self.folder.path().display());
        let value = value.replace("/tmp/", &own).replace("/var/lib/report/", &own);
        let value = value.replace("/usr/local/bin", &self.bin.display().to_string());
        self.variables.iter().fold(value, |value, (name, with)| value.replace(&format!("${name}"), with))
    }
}

/// What GitHub's runner sets.
fn github(folder: &Path, checkout: &Path, provider: &Provider, may_ask: bool) -> Vec<(String, String)> {
    for name in ["home", "temp"] {
        fs::create_dir(folder.join(name)).expect("a folder");
    }
    for name in ["env", "output", "path"] {
        fs::write(folder.join(name), "").expect("a file");
    }
    let at = |name: &str| folder.join(name).display().to_string();
    let mut variables: Vec<(String, String)> = [
        ("CI", "true".to_owned()),
        ("GITHUB_ACTIONS", "true".to_owned()),
        ("GITHUB_ENV", at("env")),
        ("GITHUB_OUTPUT", at("output")),
        ("GITHUB_PATH", at("path")),
        ("GITHUB_REF", "refs/heads/main".to_owned()),
        ("GITHUB_REPOSITORY", "acme/app".to_owned()),
        ("GITHUB_RUN_ID", "19000000001".to_owned()),
        ("GITHUB_WORKSPACE", checkout.display().to_string()),
        ("HOME", at("home")),
        ("RUNNER_OS", "Linux".to_owned()),
        ("RUNNER_TEMP", at("temp")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    if may_ask {
        variables.extend(provider.github_job().map(|(name, value)| (name.to_owned(), value)));
    }
    variables
}

/// What GitLab's runner sets.
fn gitlab_variables(folder: &Path, checkout: &Path) -> Vec<(String, String)> {
    let [home, builds] = ["home", "builds"].map(|name| {
        fs::create_dir(folder.join(name)).expect("a folder");
        folder.join(name).display().to_string()
    });
    [
        ("CI", "true".to_owned()),
        ("CI_BUILDS_DIR", builds),
        ("CI_COMMIT_BRANCH", "main".to_owned()),
        ("CI_JOB_ID", "302".to_owned()),
        ("CI_PIPELINE_ID", "101".to_owned()),
        ("CI_PROJECT_DIR", checkout.display().to_string()),
        ("CI_PROJECT_PATH", "acme/app".to_owned()),
        ("GITLAB_CI", "true".to_owned()),
        ("HOME", home),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// What Debian's cron sets; the secret lies where the page says.
fn cron(folder: &Path) -> Vec<(String, String)> {
    let secret = folder.join("secret");
    fs::write(&secret, "robot-secret").expect("a file");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("private");
    [("HOME", folder.display().to_string()), ("LOGNAME", "report".into()), ("SHELL", "/bin/sh".into())]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}

/// crontab(5): variables, and commands behind five fields.
fn crontab(text: &str) -> Result<Vec<Job>, String> {
    let (mut variables, mut steps) = (Vec::new(), Vec::new());
    for line in text.lines() {
        match line.split_once('=') {
            Some((name, value)) if !name.contains(' ') => variables.push((name.to_owned(), value.to_owned())),
            _ => {
                let words: Vec<&str> = line.split_whitespace().collect();
                let run = words.get(5..).ok_or_else(|| format!("`{line}` has no command"))?.join(" ");
                steps.push(Step { variables: variables.clone(), run });
            }
        }
    }
    Ok(vec![Job { image: false, tokens: Vec::new(), may_ask: false, shell: &["sh"], steps }])
}

/// GitHub: jobs, each with steps that `run` or `use`.
fn workflow(document: &Value) -> Result<Vec<Job>, String> {
    let mut jobs = Vec::new();
    for job in document["jobs"].as_object().ok_or("a workflow without jobs")?.values() {
        let mut steps = Vec::new();
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
            steps.push(Step { variables, run: run.to_owned() });
        }
        let image = !job["container"].is_null();
        let shell: &[&str] = if image { &["sh", "-e"] } else { &["bash", "-e"] };
        let may_ask = job["permissions"]["id-token"] == "write";
        jobs.push(Job { image, tokens: Vec::new(), may_ask, shell, steps });
    }
    Ok(jobs)
}

/// GitLab: jobs at the top, each with a `script` and `id_tokens`.
fn gitlab(document: &Value) -> Result<Vec<Job>, String> {
    let mut jobs = Vec::new();
    for job in document.as_object().ok_or("not a pipeline")?.values() {
        let Some(script) = job["script"].as_array() else { continue };
        let lines: Vec<&str> = script.iter().filter_map(Value::as_str).collect();
        let mut variables = strings(&document["variables"]);
        variables.extend(strings(&job["variables"]));
        let tokens = job["id_tokens"].as_object().map(|tokens| tokens.keys().cloned().collect());
        jobs.push(Job {
            image: !job["image"].is_null(),
            tokens: tokens.unwrap_or_default(),
            may_ask: false,
            shell: &["bash", "-e", "-o", "pipefail"],
            steps: vec![Step { variables, run: lines.join("\n") }],
        });
    }
    Ok(jobs)
}

/// Kubernetes: the containers of a Job or of a CronJob, with a projected token.
fn kubernetes(document: &Value) -> Result<Vec<Job>, String> {
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
    let mut jobs = Vec::new();
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
        let image = !container["image"].is_null();
        let steps = vec![Step { variables, run: words.join(" ") }];
        jobs.push(Job { image, tokens: Vec::new(), may_ask: false, shell: &["sh", "-e"], steps });
    }
    Ok(jobs)
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

/// Where a runner finds programs before a job brings any.
const SYSTEM: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const PATIENCE: Duration = Duration::from_secs(60);
