//! A thin Event Hubs consumer and publisher on AMQP 1.0.
