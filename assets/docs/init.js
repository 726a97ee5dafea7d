// Shows the API of the host that serves this page, ready to be tried.
SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#api',
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  // No other host is asked whether the document is valid.
  validatorUrl: null,
});
