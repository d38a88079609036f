//! The AWS account and region that findings and trail events are addressed to.

/// A 12-digit AWS account in one region. For Security Hub it may be a central account; for CloudTrail Lake it is the
/// account that owns the channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    account: String,
    region: String,
    partition: Partition,
}

/// A partition of AWS that Security Hub's resources can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partition {
    /// Commercial regions.
    Aws,
    /// China.
    China,
    /// GovCloud (US).
    GovCloud,
}

impl Partition {
    /// As ARNs write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::China => "aws-cn",
            Self::GovCloud => "aws-us-gov",
        }
    }
}

/// Why there is no such destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDestination {
    /// No account.
    #[error("{0:?} is no aws account: use its 12 digits")]
    Account(String),
    /// No region.
    #[error("{0:?} is no aws region: use a name such as eu-west-1")]
    Region(String),
    /// A region of a partition that a finding cannot name.
    #[error("{0:?} is in no partition that a finding can name: use a region of aws, aws-cn or aws-us-gov")]
    Partition(String),
}

impl Destination {
    /// The destination, if account and region are well formed.
    ///
    /// # Errors
    /// When one of them is not, or when the region lies in another partition than `aws`, `aws-cn` and `aws-us-gov`.
    pub fn new(account: &str, region: &str) -> Result<Self, InvalidDestination> {
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidDestination::Account(account.to_owned()));
        }
        let partition = partition(region)?;
        Ok(Self { account: account.to_owned(), region: region.to_owned(), partition })
    }

    /// The account's 12 digits.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The region's name.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The region's partition.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The ARN of the account's default product, under which custom integrations import findings.
    pub fn product_arn(&self) -> String {
        let (partition, region, account) = (self.partition.as_str(), &self.region, &self.account);
        format!("arn:{partition}:securityhub:{region}:{account}:product/{account}/default")
    }
}

/// Longest name of a region in a finding.
const MAX_REGION: usize = 16;

fn partition(region: &str) -> Result<Partition, InvalidDestination> {
    let mut parts = region.split('-');
    let place = parts.next().unwrap_or_default();
    let number = parts.next_back().unwrap_or_default();
    let middle: Vec<&str> = parts.collect();
    let letters = |part: &str| part.len() >= 2 && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let digits = (1..=2).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let named = letters(place) && !middle.is_empty() && middle.iter().all(|part| letters(part)) && digits;
    if !named || region.len() > MAX_REGION {
        return Err(InvalidDestination::Region(region.to_owned()));
    }
    match (place, middle.first().copied().unwrap_or_default()) {
        ("cn", _) => Ok(Partition::China),
        (_, "gov") => Ok(Partition::GovCloud),
        ("eusc", _) => Err(InvalidDestination::Partition(region.to_owned())),
        (_, part) if part.starts_with("iso") => Err(InvalidDestination::Partition(region.to_owned())),
        _ => Ok(Partition::Aws),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arn(region: &str) -> String {
        Destination::new("111122223333", region).unwrap().product_arn()
    }

    #[test]
    fn the_partition_follows_the_region() {
        assert_eq!(arn("eu-central-1"), "arn:aws:securityhub:eu-central-1:111122223333:product/111122223333/default");
        assert_eq!(arn("cn-north-1"), "arn:aws-cn:securityhub:cn-north-1:111122223333:product/111122223333/default");
        assert!(arn("us-gov-west-1").starts_with("arn:aws-us-gov:securityhub:us-gov-west-1:"));
        assert!(arn("ap-southeast-7").starts_with("arn:aws:"));
    }

    #[test]
    fn what_is_no_destination_is_refused() {
        for account in ["", "11112222333", "1111222233334", "11112222333x", "１11122223333"] {
            assert!(Destination::new(account, "eu-west-1").is_err(), "{account}");
        }
        for region in ["", "eu", "eu-1", "eu-west", "eu-west-1 ", "EU-WEST-1", "eu-west-1-x", "eu--1", "northeurope"] {
            assert!(Destination::new("111122223333", region).is_err(), "{region}");
        }
        for region in ["us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "eusc-de-east-1"] {
            let error = Destination::new("111122223333", region).unwrap_err();
            assert!(matches!(error, InvalidDestination::Partition(_)), "{region}: {error}");
        }
    }
}
