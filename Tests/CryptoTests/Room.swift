// Placeholder of the test room CryptoTests until its first suite lands.
