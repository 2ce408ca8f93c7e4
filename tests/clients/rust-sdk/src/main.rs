//! What a program with the Rust SDK of AWS does, in a line for each thing.
//!
//! Job: call S3, DynamoDB and STS as any program does, with what the environment or a profile says and no setting of its own.
//! Boundary: it knows nothing of hoopctl; the test that runs it compares the lines. Failure mode: a line with the code that
//! the SDK makes of an error, or a panic where a call must not fail.

use std::fmt::Debug;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier};

#[tokio::main]
async fn main() {
    let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
    match std::env::args().nth(1).as_deref() {
        Some("objects") => objects(&config).await,
        Some("items") => items(&config).await,
        Some("read") => read(&config).await,
        _ => panic!("usage: rust-sdk objects|items|read"),
    }
}

/// Bodies of every kind on their way up and down, in the bucket `traces`.
async fn objects(config: &SdkConfig) {
    let s3 = aws_sdk_s3::Client::new(config);
    let key = "2026/a b+c//ä";
    let body: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();

    let put =
        s3.put_object().bucket("traces").key(key).body(body.clone().into()).send().await.expect("it puts");
    println!("put with checksum {}", put.checksum_crc32().is_some());
    let back = s3.get_object().bucket("traces").key(key).send().await.expect("it gets");
    let back = back.body.collect().await.expect("a whole body, as its checksum says").into_bytes();
    println!("same {}", back == body);

    // of a file the checksum comes after the last chunk
    let file = std::env::temp_dir().join("rust-sdk-body");
    std::fs::write(&file, &body).expect("it writes");
    let stream = ByteStream::from_path(&file).await.expect("a file");
    s3.put_object().bucket("traces").key("file").body(stream).send().await.expect("it puts a stream");
    let back = s3.get_object().bucket("traces").key("file").send().await.expect("it gets");
    println!("stream {}", back.body.collect().await.expect("a body").into_bytes() == body);

    let some = s3.get_object().bucket("traces").key(key).range("bytes=10-19").send().await.expect("it gets");
    println!("range {}", some.body.collect().await.expect("a body").into_bytes() == body[10..20]);

    parts(&s3).await;

    let mut pages = s3.list_objects_v2().bucket("traces").into_paginator().page_size(2).send();
    let mut listed = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.expect("it lists");
        listed.push(page.contents().iter().filter_map(|object| object.key()).collect::<Vec<_>>().join(" "));
    }
    println!("pages {}", listed.join(" | "));

    let minute = PresigningConfig::expires_in(std::time::Duration::from_secs(60)).expect("a minute");
    let url = s3.get_object().bucket("traces").key(key).presigned(minute).await.expect("it presigns");
    let curl = std::process::Command::new("curl").args(["-sSf", url.uri()]).output().expect("curl runs");
    println!("presigned {}", curl.stdout == body);

    let gone = |key: &str| ObjectIdentifier::builder().key(key).build().expect("a key");
    let delete = Delete::builder().objects(gone(key)).objects(gone("big")).build().expect("objects");
    let deleted = s3.delete_objects().bucket("traces").delete(delete).send().await.expect("it deletes");
    println!("deleted {}", deleted.deleted().len());
    let absent = s3.get_object().bucket("traces").key(key).send().await;
    println!("absent {}", code(absent));
    let denied = s3.get_object().bucket("traces").key("exports/1").send().await;
    println!("denied {}", code(denied));
    let denied = s3.head_object().bucket("traces").key("exports/1").send().await;
    println!("denied head {}", status(&denied));
}

/// Two parts of an upload, one in memory and one out of a file.
async fn parts(s3: &aws_sdk_s3::Client) {
    let body = vec![7; 5 << 20];
    let begun = s3.create_multipart_upload().bucket("traces").key("big").send().await.expect("it begins");
    let id = begun.upload_id().expect("an id");
    let file = std::env::temp_dir().join("rust-sdk-part");
    std::fs::write(&file, &body).expect("it writes");
    let bodies = [ByteStream::from(body.clone()), ByteStream::from_path(&file).await.expect("a file")];
    let mut parts = Vec::new();
    for (number, part) in (1..).zip(bodies) {
        let upload = s3.upload_part().bucket("traces").key("big").upload_id(id).part_number(number);
        let sent = upload.body(part).send().await.expect("it sends a part");
        let part = CompletedPart::builder().part_number(number);
        parts.push(part.set_e_tag(sent.e_tag).set_checksum_crc32(sent.checksum_crc32).build());
    }
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let done = s3.complete_multipart_upload().bucket("traces").key("big").upload_id(id);
    done.multipart_upload(parts).send().await.expect("it ends");
    let back = s3.get_object().bucket("traces").key("big").send().await.expect("it gets");
    let back = back.body.collect().await.expect("a body").into_bytes();
    println!("parts {}", back.len() == 10 << 20 && back.iter().all(|byte| *byte == 7));
}

/// Items of the table `traces`, whose `api_key` is masked; the first two are there.
async fn items(config: &SdkConfig) {
    let dynamodb = aws_sdk_dynamodb::Client::new(config);
    let text = |text: &str| AttributeValue::S(text.into());
    let got = dynamodb.get_item().table_name("traces").key("id", text("1")).send().await.expect("it gets");
    let item = got.item.expect("an item");
    println!("get {:?} {:?}", item["prompt"], item["api_key"]);
    let query = dynamodb.query().table_name("traces").key_condition_expression("id = :id");
    let found = query.expression_attribute_values(":id", text("2")).send().await.expect("it queries");
    println!("query {} {:?}", found.count, found.items()[0]["api_key"]);
    let put = dynamodb.put_item().table_name("traces").item("id", text("3"));
    put.item("prompt", text("good day")).send().await.expect("it puts");
    let put = dynamodb.get_item().table_name("traces").key("id", text("3")).send().await.expect("it gets");
    println!("put {:?}", put.item.expect("an item")["prompt"]);
    let masked = dynamodb.put_item().table_name("traces").item("id", text("4"));
    println!("masked {}", code(masked.item("api_key", text("sk-mine")).send().await));
    let asked = dynamodb.scan().table_name("traces").filter_expression("api_key = :key");
    let asked = asked.expression_attribute_values(":key", text("sk-secret")).send().await;
    println!("asked {}", code(asked));
    let deleted = dynamodb.delete_item().table_name("traces").key("id", text("1")).send().await;
    println!("deleted {}", code(deleted));
}

/// One object, with credentials of whatever place the SDK finds them in.
async fn read(config: &SdkConfig) {
    let s3 = aws_sdk_s3::Client::new(config);
    let got = s3.get_object().bucket("traces").key("7.json").send().await.expect("it gets");
    let body = got.body.collect().await.expect("a body").into_bytes();
    println!("{}", String::from_utf8_lossy(&body));
    let me = aws_sdk_sts::Client::new(config).get_caller_identity().send().await.expect("it is somebody");
    println!("{}", me.arn().unwrap_or_default());
}

/// What the SDK decodes of a refusal.
fn code<T, E, R>(answer: Result<T, SdkError<E, R>>) -> String
where
    E: ProvideErrorMetadata + Debug,
    R: Debug,
{
    match answer {
        Ok(_) => "allowed".into(),
        Err(SdkError::ServiceError(error)) => {
            let error = error.into_err();
            format!("{} {}", error.code().unwrap_or("without a code"), error.message().unwrap_or_default())
        }
        Err(error) => format!("not an answer: {error:?}"),
    }
}

/// The status of a refusal that has no body.
fn status<T, E>(answer: &Result<T, SdkError<E>>) -> String {
    match answer {
        Ok(_) => "allowed".into(),
        Err(SdkError::ServiceError(error)) => error.raw().status().to_string(),
        Err(_) => "not an answer".into(),
    }
}
