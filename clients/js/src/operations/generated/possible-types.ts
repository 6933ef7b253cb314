
      export type PossibleTypesResultData = {
  "possibleTypes": {
    "AdminResult": [
      "AdminFailure",
      "AdminSuccess"
    ],
    "ChangePasswordResult": [
      "AuthFailure",
      "ChangePasswordSuccess"
    ],
    "LoginResult": [
      "AuthFailure",
      "AuthSuccess"
    ],
    "RefreshTokenResult": [
      "AuthFailure",
      "AuthSuccess"
    ],
    "SignUpResult": [
      "AuthFailure",
      "AuthSuccess"
    ]
  }
};
      const result: PossibleTypesResultData = {
  "possibleTypes": {
    "AdminResult": [
      "AdminFailure",
      "AdminSuccess"
    ],
    "ChangePasswordResult": [
      "AuthFailure",
      "ChangePasswordSuccess"
    ],
    "LoginResult": [
      "AuthFailure",
      "AuthSuccess"
    ],
    "RefreshTokenResult": [
      "AuthFailure",
      "AuthSuccess"
    ],
    "SignUpResult": [
      "AuthFailure",
      "AuthSuccess"
    ]
  }
};
      export default result;
    