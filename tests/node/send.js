// Sends notifications with the npm package soap: [{wsdl, sobject, records}] as JSON on stdin, the answers on stdout.
'use strict'
const soap = require('soap')

async function send ({ wsdl, sobject, records }) {
  const client = await soap.createClientAsync(wsdl)
  const type = { type: sobject, prefix: 'ens', xmlns: 'urn:sobject.enterprise.soap.sforce.com' }
  const [answer] = await client.notificationsAsync({
    OrganizationId: '00Dxx0000001gPFEAY',
    ActionId: '04kxx00000000blBAA',
    SessionId: null,
    EnterpriseUrl: 'https://example.my.salesforce.com/services/Soap/c/61.0/00Dxx0000001gPF',
    PartnerUrl: 'https://example.my.salesforce.com/services/Soap/u/61.0/00Dxx0000001gPF',
    Notification: records.map(({ notification, record }) => ({
      Id: notification,
      sObject: { attributes: { xsi_type: type }, ...record }
    }))
  })
  return answer
}

async function main () {
  let text = ''
  for await (const part of process.stdin) text += part
  const answers = []
  for (const message of JSON.parse(text)) answers.push(await send(message))
  console.log(JSON.stringify(answers))
}

main().catch(error => { console.error(error.message); process.exitCode = 1 })
