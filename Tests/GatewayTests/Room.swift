// Placeholder of the test room GatewayTests until its first suite lands.
