//! What `explain` says of an account of AWS.

use super::Told;
use crate::domain::target::{AwsTarget, Target};

pub(super) fn told(_target: &Target, aws: &AwsTarget) -> Told {
    Told { place: aws.role.clone(), ..Told::default() }
}
