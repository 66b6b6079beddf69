"""The page of `roofsim explore`: the engine in JavaScript, the data that it takes, one file around both."""
