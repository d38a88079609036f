//! Tables, queues and buckets on a server, as a deployment makes them.

use std::io::{Read, Write};
use std::net::TcpStream;

use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use aws_sdk_sqs::types::QueueAttributeName;

use crate::Server;

impl Server {
    /// A table with the ledger's keys: `pk` and `sk`, both strings.
    pub async fn table(&self, name: &str) {
        let client = aws_sdk_dynamodb::Client::new(&self.config());
        let mut create = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        for (attribute, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
            let string = AttributeDefinition::builder()
                .attribute_name(attribute)
                .attribute_type(ScalarAttributeType::S)
                .build()
                .unwrap();
            let key = KeySchemaElement::builder().attribute_name(attribute).key_type(kind).build().unwrap();
            create = create.attribute_definitions(string).key_schema(key);
        }
        create.send().await.unwrap();
    }

    /// A queue that takes messages of 1 MiB and, after so many receives, moves them to a queue `{name}-dead`. Returns its
    /// URL.
    pub async fn queue(&self, name: &str, max_receives: u32) -> String {
        let client = aws_sdk_sqs::Client::new(&self.config());
        let large = |create: aws_sdk_sqs::operation::create_queue::builders::CreateQueueFluentBuilder| {
            create.attributes(QueueAttributeName::MaximumMessageSize, "1048576")
        };
        let dead = large(client.create_queue().queue_name(format!("{name}-dead"))).send().await.unwrap();
        let attributes = client
            .get_queue_attributes()
            .queue_url(dead.queue_url().unwrap())
            .attribute_names(QueueAttributeName::QueueArn);
        let attributes = attributes.send().await.unwrap();
        let arn = attributes.attributes().unwrap().get(&QueueAttributeName::QueueArn).unwrap().clone();
        let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"{max_receives}"}}"#);
        let create =
            large(client.create_queue().queue_name(name)).attributes(QueueAttributeName::RedrivePolicy, policy);
        create.send().await.unwrap().queue_url().unwrap().to_owned()
    }

    /// A bucket.
    pub fn bucket(&self, name: &str) {
        let host = self.endpoint().strip_prefix("http://").unwrap();
        let mut server = TcpStream::connect(host).unwrap();
        write!(server, "PUT /{name} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        server.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "cannot make the bucket {name}: {answer}");
    }
}
