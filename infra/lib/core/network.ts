// The network that the functions run in, where the configuration names one.
import { Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import { Construct } from 'constructs';
import type { Config } from '../config/schema';
import type { FunctionSurroundings } from '../framework/function';
import { acknowledge } from '../framework/nag';

type VpcConfig = NonNullable<Config['vpc']>;
/** HTTPS to AWS and Azure; AMQP over TLS to Event Hubs. */
const PORTS = [443, 5671];

/** Subnets, security group and endpoints. Nothing is looked up: the synthesis works without an account. */
export class Network extends Construct {
  readonly surroundings: NonNullable<FunctionSurroundings['network']>;

  constructor(scope: Construct, id: string, private readonly config: VpcConfig, name: string) {
    super(scope, id);
    // CDK wants to know zones, which it uses for nothing here.
    const zone = `${Stack.of(this).region}a`;
    const vpc = ec2.Vpc.fromVpcAttributes(this, 'Vpc', { vpcId: config.vpcId, availabilityZones: [zone] });
    const subnets = config.subnetIds.map((subnetId) => ec2.Subnet.fromSubnetAttributes(this, subnetId, { subnetId, availabilityZone: zone }));
    const securityGroup = config.securityGroupId === undefined
      ? this.newSecurityGroup(vpc, name)
      : ec2.SecurityGroup.fromSecurityGroupId(this, 'Given', config.securityGroupId, { mutable: false });
    this.surroundings = { vpc, subnets: { subnets }, securityGroup };
    this.addEndpoints(securityGroup, name);
  }

  private newSecurityGroup(vpc: ec2.IVpc, name: string): ec2.SecurityGroup {
    const group = new ec2.SecurityGroup(this, 'SecurityGroup', {
      vpc, securityGroupName: `${name}-functions`, description: 'Functions of Tributary: nothing in, HTTPS and AMQP out', allowAllOutbound: false,
    });
    for (const cidr of this.config.egressCidrs) {
      for (const port of PORTS) group.addEgressRule(ec2.Peer.ipv4(cidr), ec2.Port.tcp(port), port === 443 ? 'HTTPS' : 'AMQP over TLS');
    }
    return group;
  }

  private addEndpoints(functions: ec2.ISecurityGroup, name: string): void {
    const { interfaceEndpoints, gatewayEndpoints, subnetIds, vpcId, routeTableIds } = this.config;
    const { region } = Stack.of(this);
    if (interfaceEndpoints.length > 0) {
      const group = new ec2.SecurityGroup(this, 'Endpoints', {
        vpc: this.surroundings.vpc, securityGroupName: `${name}-endpoints`, description: 'Endpoints of services: HTTPS from the functions',
        allowAllOutbound: false,
      });
      group.addIngressRule(functions, ec2.Port.tcp(443), 'HTTPS from the functions');
      acknowledge(group, { 'CdkNagValidationFailure[AwsSolutions-EC23]': 'the rule names a security group and no range' });
      for (const service of interfaceEndpoints) {
        new ec2.CfnVPCEndpoint(this, `Interface-${service}`, {
          vpcEndpointType: 'Interface', vpcId, subnetIds, serviceName: `com.amazonaws.${region}.${service}`,
          securityGroupIds: [group.securityGroupId],
          // DynamoDB and S3 know private names for their gateway beside an interface endpoint only.
          privateDnsEnabled: service !== 's3' && service !== 'dynamodb',
        });
      }
    }
    for (const service of gatewayEndpoints) {
      new ec2.CfnVPCEndpoint(this, `Gateway-${service}`, {
        vpcEndpointType: 'Gateway', vpcId, routeTableIds, serviceName: `com.amazonaws.${region}.${service}`,
      });
    }
  }
}
